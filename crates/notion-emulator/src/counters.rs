//! How often each endpoint was called and how it answered.

use std::collections::BTreeMap;

use serde::Serialize;

#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Counters {
    /// All requests to the API, refused and dropped ones too.
    pub(crate) total: u64,
    /// Requests whose answer was taken away or replaced by a fault.
    pub(crate) faults: u64,
    /// Endpoint, then status (`dropped` where no answer was sent), then count.
    pub(crate) endpoints: BTreeMap<String, BTreeMap<String, u64>>,
}

impl Counters {
    pub(crate) fn count(&mut self, endpoint: &str, status: Option<u16>) {
        self.total += 1;
        let status = status.map_or_else(|| "dropped".to_owned(), |status| status.to_string());
        // Looking before inserting spares an allocation for each request.
        match self.endpoints.get_mut(endpoint) {
            Some(statuses) => *statuses.entry(status).or_default() += 1,
            None => {
                self.endpoints.insert(endpoint.to_owned(), BTreeMap::from([(status, 1)]));
            }
        }
    }
}
