//! What goes wrong on purpose: for which requests, whether they are carried out, and what the client sees.

use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use crate::{chance::Chance, error::ApiError, reply::Reply};

/// One rule. The first that fits a request and still has times left is used.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rule {
    #[serde(default = "crate::ids::fresh")]
    pub(crate) id: Uuid,
    /// Such as `POST /v1/pages` or `/v1/data_sources/{id}/query`; absent: every endpoint.
    #[serde(default)]
    pub(crate) endpoint: Option<String>,
    #[serde(default)]
    pub(crate) method: Option<String>,
    /// Only requests whose path contains this id.
    #[serde(default)]
    pub(crate) path_contains: Option<String>,
    /// Requests let through before the rule begins.
    #[serde(default)]
    pub(crate) skip: u64,
    /// How many requests it hits; absent: until removed.
    #[serde(default)]
    pub(crate) times: Option<u64>,
    #[serde(default = "always")]
    pub(crate) probability: f64,
    #[serde(default)]
    pub(crate) seed: Option<u64>,
    #[serde(default)]
    pub(crate) fate: Fate,
    pub(crate) answer: Answer,
    /// Milliseconds: how long `slow` waits, or after how long a `late` fate is carried out.
    #[serde(default)]
    pub(crate) delay_ms: u64,
    /// Seconds that 429 and 529 ask for.
    #[serde(default = "one")]
    pub(crate) retry_after: u64,
    /// Whether they say until when, as an HTTP date, instead of how many seconds.
    #[serde(default)]
    pub(crate) retry_date: bool,
    /// How often it has hit.
    #[serde(default)]
    pub(crate) hits: u64,
    #[serde(skip)]
    chance: Option<Chance>,
}

/// Whether the request is carried out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Fate {
    #[default]
    NotApplied,
    Applied,
    /// Carried out after `delay_ms`, when the client has its answer long since.
    Late,
}

/// What the client gets to see of a request on which a fault lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// The connection ends without a byte.
    Drop,
    /// Nothing, until the client gives up.
    Hang,
    /// The true answer, cut in the middle.
    Truncated,
    /// The true answer, after `delay_ms`.
    Slow,
    #[serde(rename = "429")]
    RateLimited,
    /// 429 that says: do not retry.
    #[serde(rename = "429_blocked")]
    Blocked,
    #[serde(rename = "429_workspace")]
    WorkspaceLimited,
    #[serde(rename = "529")]
    Overloaded,
    #[serde(rename = "409")]
    Conflict,
    /// The data source is full.
    #[serde(rename = "409_row_limit")]
    Full,
    /// The request is not valid.
    #[serde(rename = "400")]
    Invalid,
    #[serde(rename = "500")]
    InternalError,
    /// HTML from the edge.
    #[serde(rename = "502")]
    BadGateway,
    /// Plain JSON.
    #[serde(rename = "503")]
    Unavailable,
    /// No connection to Notion's own database was free.
    #[serde(rename = "503_database")]
    NoDatabase,
    /// "The change was saved", with the ids; always carried out.
    #[serde(rename = "503_saved")]
    Saved,
    #[serde(rename = "504")]
    GatewayTimeout,
    #[serde(rename = "401")]
    Unauthorized,
    #[serde(rename = "403")]
    Restricted,
    /// HTML from the edge, which lets nobody through.
    #[serde(rename = "403_html")]
    Barred,
    #[serde(rename = "404")]
    NotFound,
}

fn always() -> f64 {
    1.0
}

fn one() -> u64 {
    1
}

/// All rules, in order.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    rules: Vec<Rule>,
    /// Whether there is any rule, so that the common case takes no lock.
    any: AtomicBool,
}

impl Faults {
    pub(crate) fn add(&mut self, mut rule: Rule) -> Uuid {
        rule.chance = Some(rule.seed.map_or_else(Chance::fresh, Chance::seeded));
        if rule.answer == Answer::Saved {
            rule.fate = Fate::Applied;
        }
        // A slow or cut answer is a true one.
        if matches!(rule.answer, Answer::Slow | Answer::Truncated) && rule.fate == Fate::NotApplied {
            rule.fate = Fate::Applied;
        }
        let id = rule.id;
        self.rules.push(rule);
        self.any.store(true, Ordering::Release);
        id
    }

    pub(crate) fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Removes one rule, or all.
    pub(crate) fn remove(&mut self, id: Option<Uuid>) {
        self.rules.retain(|rule| id.is_some_and(|id| rule.id != id));
        self.any.store(!self.rules.is_empty(), Ordering::Release);
    }

    pub(crate) fn is_empty(&self) -> bool {
        !self.any.load(Ordering::Acquire)
    }

    /// The rule that hits this request, counted.
    pub(crate) fn take(&mut self, method: &str, endpoint: &str, path: &str) -> Option<Rule> {
        for rule in &mut self.rules {
            if !rule.fits(method, endpoint, path) || rule.times.is_some_and(|times| rule.hits >= times) {
                continue;
            }
            if rule.skip > 0 {
                rule.skip -= 1;
                continue;
            }
            let probability = rule.probability;
            if rule.chance.get_or_insert_with(Chance::fresh).hits(probability) {
                rule.hits += 1;
                return Some(rule.clone());
            }
        }
        None
    }
}

impl Rule {
    /// One that hits every request and says this.
    pub(crate) fn answering(answer: Answer, retry_after: u64) -> Self {
        Self {
            id: Uuid::nil(),
            endpoint: None,
            method: None,
            path_contains: None,
            skip: 0,
            times: None,
            probability: always(),
            seed: None,
            fate: Fate::default(),
            answer,
            delay_ms: 0,
            retry_after,
            retry_date: false,
            hits: 0,
            chance: None,
        }
    }

    fn fits(&self, method: &str, endpoint: &str, path: &str) -> bool {
        let path_of = endpoint.split_once(' ').map_or(endpoint, |(_, path)| path);
        self.endpoint.as_ref().is_none_or(|wanted| wanted == endpoint || wanted == path_of)
            && self.method.as_ref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(method))
            && self.path_contains.as_ref().is_none_or(|part| path.contains(part.as_str()))
    }

    /// The answer the rule gives in place of the true one, which is given when the request was carried out.
    pub(crate) fn reply(&self, request_id: Uuid, real: Option<&Reply>) -> Reply {
        let mut error = match self.answer {
            Answer::RateLimited => ApiError::rate_limited(self.retry_after),
            Answer::Blocked | Answer::WorkspaceLimited => {
                let mut error = ApiError::rate_limited(self.retry_after);
                let reason = if self.answer == Answer::Blocked {
                    "public_api_request_blocked"
                } else {
                    "public_api_space_request_rate_limit"
                };
                error.additional = Some(json!({
                    "rate_limit_reason": reason, "retry_after": self.retry_after.to_string(),
                }));
                error
            }
            Answer::Overloaded => {
                let mut error =
                    ApiError::new(529, "service_overload", "Notion is overloaded. Please try again later.");
                error.retry_after = Some(self.retry_after);
                error
            }
            Answer::Conflict => {
                ApiError::new(409, "conflict_error", "Conflict occurred while saving. Please try again.")
            }
            Answer::BadGateway => {
                return Reply::raw(
                    502,
                    "text/html",
                    "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n<hr><center>cloudflare</center>\r\n</body>\r\n</html>\r\n",
                );
            }
            Answer::Full => ApiError::new(
                409,
                "row_limit_exceeded",
                "The data source has reached its limit of 250000 rows.",
            ),
            Answer::Invalid => ApiError::validation("body failed validation: body is not valid."),
            Answer::Barred => {
                return Reply::raw(
                    403,
                    "text/html",
                    "<html>\r\n<head><title>403 Forbidden</title></head>\r\n<body>\r\n<center><h1>403 Forbidden</h1></center>\r\n</body>\r\n</html>\r\n",
                );
            }
            Answer::NoDatabase => {
                let mut error = ApiError::new(
                    503,
                    "database_connection_unavailable",
                    "Notion is unavailable, please try again later.",
                );
                error.additional = Some(json!({
                    "endpoint_name": "public_api", "notion_error_name": "PgPoolWaitConnectionTimeout",
                }));
                error
            }
            Answer::Unavailable => {
                ApiError::new(503, "service_unavailable", "Notion is unavailable, please try again later.")
            }
            Answer::Saved => saved(real),
            Answer::GatewayTimeout => ApiError::new(504, "gateway_timeout", "The request timed out."),
            Answer::Unauthorized => ApiError::unauthorized(),
            Answer::Restricted => ApiError::restricted(),
            Answer::NotFound => ApiError::new(404, "object_not_found", "Could not find the object."),
            Answer::InternalError | Answer::Drop | Answer::Hang | Answer::Truncated | Answer::Slow => {
                ApiError::new(500, "internal_server_error", "Unexpected error occurred.")
            }
        };
        if !matches!(error.status, 429 | 529) {
            error.retry_after = None;
        }
        Reply::error(&error, request_id)
    }
}

/// 503 for a write that was saved: with the ids of what was made.
fn saved(real: Option<&Reply>) -> ApiError {
    let mut additional = json!({
        "from": "public_api", "elapsed_ms": "55012", "deadline_ms": "55000",
        "retry_guidance": ["Read the object again to see its state.", "Do not repeat the write."],
    });
    if let Some(real) = real
        && let Ok(body) = serde_json::from_str::<serde_json::Value>(&real.body)
    {
        if let Some(id) = body["id"].as_str() {
            additional["committed_resource_id"] = id.into();
        } else if let Some(results) = body["results"].as_array() {
            let ids: Vec<&str> = results.iter().filter_map(|block| block["id"].as_str()).collect();
            additional["committed_child_ids"] = json!(ids);
        }
    }
    let mut error = ApiError::new(
        503,
        "service_unavailable",
        "The change was saved, but the response could not be built in time. Read the object again instead of repeating the write.",
    );
    error.additional = Some(additional);
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(json: serde_json::Value) -> Rule {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn a_rule_hits_as_often_as_told_after_what_it_skips() {
        let mut faults = Faults::default();
        faults.add(rule(json!({"endpoint": "POST /v1/pages", "answer": "500", "skip": 1, "times": 2})));
        let hits: Vec<bool> =
            (0..5).map(|_| faults.take("POST", "POST /v1/pages", "/v1/pages").is_some()).collect();
        assert_eq!(hits, [false, true, true, false, false]);
        assert!(faults.take("GET", "GET /v1/pages/{id}", "/v1/pages/x").is_none());
    }

    #[test]
    fn the_same_seed_hits_the_same_requests() {
        let run = || {
            let mut faults = Faults::default();
            faults.add(rule(json!({"answer": "502", "probability": 0.5, "seed": 4})));
            (0..32).map(|_| faults.take("GET", "GET /v1/users/me", "/").is_some()).collect::<Vec<_>>()
        };
        assert_eq!(run(), run());
        assert!(run().contains(&true) && run().contains(&false));
    }

    #[test]
    fn a_saved_503_names_what_was_made() {
        let real = Reply::object("{\"object\":\"page\",\"id\":\"abc\"}".into(), Uuid::new_v4());
        let reply = rule(json!({"answer": "503_saved"})).reply(Uuid::new_v4(), Some(&real));
        let body: serde_json::Value = serde_json::from_str(&reply.body).unwrap();
        assert_eq!(body["additional_data"]["committed_resource_id"], "abc");
        assert!(body["message"].as_str().unwrap().starts_with("The change was saved"));
    }
}
