//! Whether a whole row comes back as it was, and each way in which it does not is told apart.

use super::*;

const WHOLE: &str = r#"{"types":{"a":"integer","j":"json","b":"bytea","z":"numeric"},"row":{"a":1,"j":{ "x" : 1.50,  "x":2 },"b":"\\x00ff","z":12345678901234567890.500}}"#;
const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const OTHER: &str = "/wECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

fn plain() -> Backup {
    Backup::new("things", None)
}

fn sealed(key: &str) -> Backup {
    Backup::new("things", Some(BackupKey::parse(key).unwrap()))
}

#[test]
fn a_row_comes_back_to_the_letter() {
    for backup in [plain(), sealed(KEY)] {
        let text = backup.write("7", WHOLE);
        assert!(text.starts_with("pagerow-backup 1 ") && text.is_ascii());
        assert_eq!(text, backup.write("7", WHOLE), "the same row gives the same text");
        let row = backup.read("7", &text).unwrap();
        assert_eq!(
            row.json(),
            r#"{"a":1,"j":{ "x" : 1.50,  "x":2 },"b":"\\x00ff","z":12345678901234567890.500}"#
        );
        assert_eq!(row.types["b"], "bytea");
    }
}

#[test]
fn what_is_wrong_is_said() {
    let read = |text: &str| plain().read("7", text).unwrap_err();
    assert_eq!(read(""), BackupError::None);
    assert_eq!(read("a note"), BackupError::Foreign);
    assert_eq!(read("pagerow-backup 2 plain x"), BackupError::Version(2));
    let text = plain().write("7", WHOLE);
    assert_eq!(read(&text[..text.len() - 1]), BackupError::Damaged);
    assert_eq!(read(&text[..30]), BackupError::Damaged);
    let (mut letters, at) = (text.clone().into_bytes(), text.len() - 20);
    letters[at] = if letters[at] == b'A' { b'B' } else { b'A' };
    assert_eq!(read(std::str::from_utf8(&letters).unwrap()), BackupError::Damaged);
    assert_eq!(read(&plain().write("7", "[]")), BackupError::NoRow);
}

#[test]
fn a_seal_opens_with_its_key_for_its_record() {
    let text = sealed(KEY).write("7", WHOLE);
    assert!(!text.contains("numeric"));
    assert_eq!(plain().read("7", &text).unwrap_err(), BackupError::NoKey);
    assert_eq!(sealed(OTHER).read("7", &text).unwrap_err(), BackupError::WrongKey);
    assert_eq!(sealed(KEY).read("8", &text).unwrap_err(), BackupError::WrongKey);
    let elsewhere = Backup::new("others", Some(BackupKey::parse(KEY).unwrap()));
    assert_eq!(elsewhere.read("7", &text).unwrap_err(), BackupError::WrongKey);
    // A key that came later reads what was written before it.
    assert!(sealed(KEY).read("7", &plain().write("7", WHOLE)).is_ok());
    assert_eq!(BackupKey::parse("short").unwrap_err(), WrongKey);
    assert!(!format!("{:?}", sealed(KEY)).contains("AAEC"));
}

#[test]
fn what_does_not_fit_says_so() {
    // Digits that do not compress.
    let mut seed = 1u64;
    let noise: String = (0..400_000)
        .map(|_| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            char::from(b'!' + ((seed >> 33) % 90) as u8).to_string().replace(['"', '\\'], "x")
        })
        .collect();
    let whole = format!(r#"{{"types":{{}},"row":{{"a":"{noise}"}}}}"#);
    let text = plain().write("7", &whole);
    assert!(text.len() < 100);
    assert_eq!(plain().read("7", &text).unwrap_err(), BackupError::TooLarge(whole.len()));
    // One that fits is within the property's limit.
    let whole = format!(r#"{{"types":{{}},"row":{{"a":"{}"}}}}"#, &noise[..150_000]);
    let text = plain().write("7", &whole);
    assert!(text.len() > 100_000 && text.len() <= LONGEST);
    assert_eq!(plain().read("7", &text).unwrap().json().len(), 150_000 + 8);
}
