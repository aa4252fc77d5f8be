//! Which versions of the API are spoken, and what each calls a thing.

use crate::error::ApiError;

/// The `Notion-Version` of one request. Ordered from old to new.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Version {
    /// Databases carry their own schema and are queried directly.
    V2022,
    /// Databases hold data sources; `archived` beside `in_trash`.
    V2025,
    /// `in_trash` alone; `position` instead of `after`.
    V2026,
}

/// The accepted list, as the error for an unknown version spells it out.
const ACCEPTED: [&str; 3] = ["2022-06-28", "2025-09-03", "2026-03-11"];

impl Version {
    /// Reads the header. Absent and unknown versions are told apart by code.
    pub(crate) fn from_header(header: Option<&str>) -> Result<Self, ApiError> {
        match header {
            None | Some("") => Err(ApiError::new(
                400,
                "missing_version",
                "Notion-Version header failed validation: Notion-Version header should be defined, instead was `undefined`.",
            )),
            Some("2022-06-28") => Ok(Self::V2022),
            Some("2025-09-03") => Ok(Self::V2025),
            Some("2026-03-11") => Ok(Self::V2026),
            Some(other) => {
                let list: Vec<String> = ACCEPTED.iter().map(|v| format!("`\"{v}\"`")).collect();
                let list = list.join(", or ");
                Err(ApiError::validation(format!(
                    "Notion-Version header failed validation: Notion-Version header should be {list}, instead was `\"{other}\"`."
                )))
            }
        }
    }

    /// Whether answers still carry `archived` beside `in_trash`.
    pub(crate) fn has_archived(self) -> bool {
        self < Self::V2026
    }

    /// Whether databases and data sources are two things.
    pub(crate) fn has_sources(self) -> bool {
        self > Self::V2022
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_version_is_answered_with_the_accepted_list() {
        let error = Version::from_header(Some("2030-01-01")).unwrap_err();
        assert_eq!(error.status, 400);
        for accepted in ACCEPTED {
            assert!(error.message.contains(accepted), "{}", error.message);
        }
    }

    #[test]
    fn an_absent_version_has_its_own_code() {
        assert_eq!(Version::from_header(None).unwrap_err().code, "missing_version");
    }

    #[test]
    fn versions_are_ordered() {
        let versions = ACCEPTED.map(|text| Version::from_header(Some(text)).unwrap());
        assert!(versions.is_sorted());
    }
}
