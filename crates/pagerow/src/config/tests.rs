//! The configuration's errors, one table row each, and the example that shows every setting.

use std::{path::PathBuf, time::Duration};

use pagerow_core::{
    mapping::{Flow, OnPageTrashed, Policy},
    side::Side,
};
use secrecy::ExposeSecret;

use super::*;

/// What every valid file needs.
const HEAD: &str = "[postgres]\nurl = \"env:DATABASE_URL\"\n[notion]\ntoken = \"env:NOTION_API_KEY\"\n";
const ID: &str = "5c6a28216bb14a7eb6e1c50111515c3d";

fn environment() -> Environment {
    Environment::of([
        ("DATABASE_URL", "postgres://me:hunter2@localhost/db"),
        ("NOTION_API_KEY", "ntn_hunter2"),
        ("NOTION_PARENT_PAGE", ID),
        ("SUPABASE_URL", "https://x.supabase.co"),
        ("EMPTY", ""),
        ("FIVE", "5"),
    ])
}

fn parse(text: &str) -> Result<Config, ConfigErrors> {
    Config::parse(Source { path: "pagerow.toml".into(), text: text.into() }, &environment(), &[])
}

fn mapping(lines: &str) -> String {
    format!(
        "{HEAD}[mapping.s]\ntable = \"t\"\ndata_source = \"{ID}\"\n{lines}\n[mapping.s.fields]\nname = \"Name\"\n"
    )
}

fn fields(lines: &str) -> String {
    format!("{HEAD}[mapping.s]\ntable = \"t\"\ndata_source = \"{ID}\"\n[mapping.s.fields]\n{lines}\n")
}

/// The only error of a file: code, line, message with suggestion and advice.
fn only_error(text: &str) -> (&'static str, Option<usize>, String) {
    let errors = parse(text).unwrap_err().0;
    assert_eq!(errors.len(), 1, "{}", ConfigErrors(errors.clone()));
    let shown = errors[0].to_string();
    assert!(!shown.contains("hunter2"), "a secret is shown: {shown}");
    (errors[0].code, errors[0].line, shown)
}

#[test]
fn everything_has_its_default() {
    let config = parse(HEAD).unwrap();
    assert_eq!(config.postgres.url.expose_secret(), "postgres://me:hunter2@localhost/db");
    assert_eq!(config.postgres.schema, "pagerow");
    assert_eq!(
        (config.notion.base_url.as_str(), config.notion.requests_per_minute),
        ("https://api.notion.com", 180)
    );
    assert_eq!(
        (config.rules.interval, config.rules.sweep_interval),
        (Duration::from_secs(60), Duration::from_secs(3600))
    );
    assert_eq!((config.rules.max_deletes.share(), config.rules.max_attempts), (0.2, 3));
    assert_eq!(config.rules.new_options, NewOptions::Refuse);
    assert_eq!(config.serve.listen, "127.0.0.1:8080");
    assert!(config.auth.is_none() && config.mappings.is_empty());
    let config = parse(&mapping("")).unwrap();
    assert_eq!(config.mappings[0].key_property.value.as_deref(), Some("Supabase ID"));
    assert!(!config.mappings[0].manage_schema);
    assert!(config.mappings[0].own_direction().is_none());
}

#[test]
fn mappings_inherit_and_override() {
    let text = format!(
        "{HEAD}[sync]\non_conflict = \"prefer_notion\"\ninterval = \"5s\"\n[mapping.a]\ntable = \"a\"\ndata_source = \"create\"\n\
         interval = \"1h30m\"\ndirection = \"to_notion\"\nkey_property = false\n[mapping.a.fields]\nb = \"B\"\na = {{ property = \"A\", wins = \"notion\" }}\n"
    );
    let config = parse(&text).unwrap();
    let a = &config.mappings[0];
    assert_eq!((a.rules.on_conflict, a.rules.interval), (Policy::PreferNotion, Duration::from_secs(5400)));
    assert_eq!(a.own_direction().map(|d| d.value), Some(Flow::ToNotion));
    assert_eq!(a.key_property.value, None);
    assert!(a.manage_schema, "pagerow owns what it makes");
    let columns: Vec<_> = a.fields.iter().map(|f| (f.column.as_str(), f.wins)).collect();
    assert_eq!(columns, [("b", None), ("a", Some(Side::Notion))], "the order of the file stays");
}

#[test]
fn errors_say_where_and_what() {
    // (file, code, line, what the message holds)
    let cases: Vec<(String, &str, Option<usize>, &[&str])> = vec![
        (format!("{HEAD}[snyc]\n"), "unknown_key", Some(5), &["`snyc`", "did you mean `sync`"]),
        (
            format!("{HEAD}[sync]\nintervall = \"1m\"\n"),
            "unknown_key",
            Some(6),
            &["6:1", "(sync.intervall)", "did you mean `interval`"],
        ),
        (
            format!("{HEAD}[sync]\nsize = 1\n"),
            "unknown_key",
            Some(6),
            &["valid keys are capture, compare_interval, conflicts_mapping, direction"],
        ),
        (
            format!("{HEAD}[sync]\ndirection = \"to_noton\"\n"),
            "unknown_word",
            Some(6),
            &["both, to_notion, to_postgres", "found \"to_noton\"", "did you mean `to_notion`"],
        ),
        (
            format!("{HEAD}[sync]\ninterval = 60\n"),
            "wrong_type",
            Some(6),
            &["a duration such as", "found the number 60"],
        ),
        (format!("{HEAD}[sync]\ninterval = \"1 week\"\n"), "wrong_type", Some(6), &["found \"1 week\""]),
        (format!("{HEAD}[sync]\ninterval = \"0s\"\n"), "wrong_type", Some(6), &["above zero"]),
        (
            format!("{HEAD}[sync]\nmax_deletes = \"20\"\n"),
            "wrong_type",
            Some(6),
            &["\"20%\"", "found \"20\""],
        ),
        (
            format!("{HEAD}[sync]\nmax_attempts = \"three\"\n"),
            "wrong_type",
            Some(6),
            &["a whole number from 1 to 1000", "found \"three\""],
        ),
        (
            format!("{HEAD}[sync]\ntime_zone = \"Europe/Berln\"\n"),
            "unknown_zone",
            Some(6),
            &["did you mean `Europe/Berlin`"],
        ),
        (format!("{HEAD}[sync]\nparent_page = \"Home\"\n"), "wrong_id", Some(6), &["a page's id or address"]),
        (
            format!("{HEAD}[sync]\ninterval = \"env:INTERVAL\"\n"),
            "missing_variable",
            Some(6),
            &["variable INTERVAL is not set", "set INTERVAL"],
        ),
        (
            format!("{HEAD}[sync]\ninterval = \"env:EMPTY\"\n"),
            "missing_variable",
            Some(6),
            &["EMPTY is empty"],
        ),
        (
            format!("{HEAD}[sync]\ndirection = \"env:DATABASE_URL\"\n"),
            "unknown_word",
            Some(6),
            &["the content of the environment variable DATABASE_URL"],
        ),
        (format!("{HEAD}[serve]\nlisten = \"8080\"\n"), "wrong_address", Some(6), &["a host and a port"]),
        (format!("{HEAD}[auth]\nissuer = \"x\"\n"), "wrong_auth", Some(5), &["exactly one of"]),
        (
            format!("{HEAD}[auth]\njwt_secret = \"hunter2\"\n"),
            "literal_secret",
            Some(6),
            &["env:AUTH_JWT_SECRET"],
        ),
        (
            "[notion]\ntoken = \"env:NOTION_API_KEY\"\n".into(),
            "missing_key",
            None,
            &["postgres lacks the key `url`", "DATABASE_URL"],
        ),
        (
            "[postgres]\nurl = \"env:DATABASE_URL\"\n[notion]\ntoken = \"ntn_hunter2\"\n".into(),
            "literal_secret",
            Some(4),
            &["must not stand in this file", "env:NOTION_TOKEN", "file:/run/secrets"],
        ),
        (
            "[postgres]\nurl = \"postgres://me:hunter2@h/d\"\n[notion]\ntoken = \"env:NOTION_API_KEY\"\n"
                .into(),
            "literal_secret",
            Some(2),
            &["env:POSTGRES_URL"],
        ),
        (
            "[postgres]\nurl = \"env:DATABASE_URL\"\n[notion]\ntoken = \"file:/no/such/file\"\n".into(),
            "unreadable_file",
            Some(4),
            &["/no/such/file cannot be read"],
        ),
        (
            format!("{HEAD}base_url = \"api.notion.com\"\n"),
            "wrong_address",
            Some(5),
            &["begins with https://"],
        ),
        (format!("{HEAD}tokn = \"ntn_hunter2\"\n"), "unknown_key", Some(5), &["did you mean `token`"]),
        (format!("{HEAD}oops\n"), "syntax", Some(5), &["no TOML"]),
        (mapping("tabel = \"x\""), "unknown_key", Some(8), &["in [mapping.s]", "did you mean `table`"]),
        (
            format!("{HEAD}[mapping.s]\ndata_source = \"create\"\n[mapping.s.fields]\na = \"A\"\n"),
            "missing_key",
            Some(5),
            &["mapping.s lacks the key `table`"],
        ),
        (
            format!(
                "{HEAD}[mapping.s]\ntable = \"t\"\ndata_source = \"Suppliers\"\n[mapping.s.fields]\na = \"A\"\n"
            ),
            "wrong_id",
            Some(7),
            &["id or address"],
        ),
        (
            format!(
                "{HEAD}[mapping.s]\ntable = \"t\"\ndata_source = \"created\"\n[mapping.s.fields]\na = \"A\"\n"
            ),
            "wrong_id",
            Some(7),
            &["did you mean `create`"],
        ),
        (
            format!("{HEAD}[mapping.s]\ntable = \"t\"\ndata_source = \"create\"\n"),
            "no_fields",
            Some(5),
            &["has no fields"],
        ),
        (mapping("match_on = \"name\""), "wrong_type", Some(8), &["a list of texts"]),
        (
            mapping("on_page_trashed = \"soft_delete\""),
            "missing_key",
            Some(8),
            &["soft_delete = \"deleted_at\""],
        ),
        (
            mapping("[mapping.s.stamp]\nsyncedat = \"X\""),
            "unknown_key",
            Some(9),
            &["did you mean `synced_at`"],
        ),
        (mapping("[mapping.s.columns]\npage = \"X\""), "unknown_key", Some(9), &["did you mean `page_id`"]),
        (
            fields("a = \"X\"\nb = \"X\""),
            "property_twice",
            Some(10),
            &["the property \"X\" is already taken by the field a"],
        ),
        (
            fields("a = { as = \"body\" }\nb = { as = \"body\" }"),
            "property_twice",
            Some(10),
            &["the page's body is already taken"],
        ),
        (fields("a = \"X\"\na = \"Y\""), "syntax", Some(10), &["duplicate key"]),
        (fields("a = 5"), "wrong_type", Some(9), &["the field a takes a property's name"]),
        (fields("a = {}"), "missing_key", Some(9), &["the field a names no property"]),
        (
            fields("a = { property = \"X\", as = \"phone\" }"),
            "unknown_word",
            Some(9),
            &["did you mean `phone_number`"],
        ),
        (
            fields("a = { property = \"X\", as = \"body\" }"),
            "body_property",
            Some(9),
            &["the page's body is no property"],
        ),
        (
            fields("a = { property = \"X\", win = \"notion\" }"),
            "unknown_key",
            Some(9),
            &["did you mean `wins`"],
        ),
        (
            fields("a = { property = \"X\", relation = \"userss\" }"),
            "no_such_mapping",
            Some(9),
            &["no mapping named userss", "add [mapping.userss]"],
        ),
        (
            format!("{}[sync]\nconflicts_mapping = \"tickets\"\n", fields("a = \"A\"")),
            "no_such_mapping",
            Some(11),
            &["no mapping named tickets"],
        ),
        (
            fields("a = { property = \"X\", once = true }"),
            "no_expression",
            Some(9),
            &["only `from_notion` fills", "leave `once` out"],
        ),
        (
            fields("a = { property = \"X\", from_notion = \"value\", direction = \"both\" }"),
            "wrong_direction",
            Some(9),
            &["without `to_notion` nothing can flow the other way", "direction = \"to_postgres\""],
        ),
        (
            fields("a = { property = \"X\", from_notion = \"value\", relation = \"s\" }"),
            "expression_relation",
            Some(9),
            &["no rows to relate to"],
        ),
        (
            fields("a = { as = \"body\", from_notion = \"value\" }"),
            "expression_body",
            Some(9),
            &["name a property instead"],
        ),
        (
            fields("a = { property = \"X\", relation = \"S\" }"),
            "no_such_mapping",
            Some(9),
            &["did you mean `s`"],
        ),
        (
            fields("a = { property = \"X\", through = \"j\" }"),
            "missing_key",
            Some(9),
            &["`through` needs to know"],
        ),
        (
            fields("a = { property = \"X\", relation = \"s\", own_column = \"j\" }"),
            "missing_key",
            Some(9),
            &["is a column of a join table"],
        ),
        (
            fields("a = { property = \"X\", as = \"relation\" }"),
            "missing_key",
            Some(9),
            &["which mapping it leads to"],
        ),
        (
            fields("a = { property = \"X\", as = \"number\", relation = \"s\" }"),
            "wrong_kind",
            Some(9),
            &["cannot be shown as number"],
        ),
        (
            fields("a = { property = \"X\", to_notion = \"1\", direction = \"both\" }"),
            "wrong_direction",
            Some(9),
            &["without `from_notion` nothing can flow the other way"],
        ),
        (
            fields("a = { property = \"X\", values = { a = \"Same\", b = \"same\" } }"),
            "label_twice",
            Some(9),
            &["`a` and `b` have the same label"],
        ),
    ];
    for (text, code, line, parts) in cases {
        let (found_code, found_line, shown) = only_error(&text);
        assert_eq!((found_code, found_line), (code, line), "{shown}");
        for part in parts {
            assert!(shown.contains(part), "{part:?} is not in:\n{shown}");
        }
    }
}

#[test]
fn all_errors_come_at_once_and_in_order() {
    let text = format!(
        "{HEAD}[sync]\nintervall = 1\ndirection = \"up\"\n[mapping.s]\ntable = 3\ndata_source = \"env:NOPE\"\n"
    );
    let errors = parse(&text).unwrap_err();
    let lines: Vec<_> = errors.0.iter().filter_map(|error| error.line).collect();
    assert_eq!(lines, [6, 7, 8, 9, 10], "{errors}");
    assert_eq!(errors.to_json()["errors"].as_array().map(Vec::len), Some(5));
    assert_eq!(errors.to_json()["kind"], "configuration");
    assert_eq!(errors.to_json()["key"], "sync.intervall");
}

#[test]
fn variables_and_flags_override_the_file() {
    let source = || Source {
        path: "pagerow.toml".into(),
        text: mapping("updated_at = \"env:NOPE\"").replace("env:NOPE", "x"),
    };
    let environment = Environment::of([
        ("DATABASE_URL", "postgres://h/d"),
        ("NOTION_API_KEY", "k"),
        ("PAGEROW__SYNC__INTERVAL", "5s"),
        ("PAGEROW__SYNC__MAX_ATTEMPTS", "7"),
        ("PAGEROW__NOTION__TOKEN", "from the environment"),
        ("PAGEROW__MAPPING__S__TABLE", "other"),
        ("PAGEROW__MAPPING__S__MATCH_ON", "name, b"),
        ("PAGEROW__MAPPING__S__KEY_PROPERTY", "false"),
        ("PAGEROW__SERVE__LISTEN", "0.0.0.0:1"),
    ]);
    let config =
        Config::parse(source(), &environment, &[("serve.listen".into(), "0.0.0.0:2".into())]).unwrap();
    assert_eq!((config.rules.interval, config.rules.max_attempts), (Duration::from_secs(5), 7));
    assert_eq!(config.notion.token.expose_secret(), "from the environment");
    assert_eq!(config.mappings[0].table.value, "other");
    assert_eq!(config.mappings[0].match_on.len(), 2);
    assert_eq!(config.mappings[0].key_property.value, None);
    assert_eq!(config.serve.listen, "0.0.0.0:2");

    let wrong = Environment::of([
        ("DATABASE_URL", "postgres://h/d"),
        ("NOTION_API_KEY", "k"),
        ("PAGEROW__SYNC__INTERVALL", "5s"),
    ]);
    let error = Config::parse(source(), &wrong, &[]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "error: unknown key `intervall` in [sync]\n --> environment variable PAGEROW__SYNC__INTERVALL (sync.intervall)\n  = did you mean `interval`?"
    );
}

#[test]
fn numbers_may_come_from_variables() {
    assert_eq!(parse(&format!("{HEAD}[sync]\nmax_attempts = \"env:FIVE\"\n")).unwrap().rules.max_attempts, 5);
}

#[test]
fn secrets_may_come_from_files_and_are_never_shown() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("token"), "from a file\n").unwrap();
    std::fs::write(folder.path().join(".env"), "DATABASE_URL=postgres://u:hunter2@h/d\n").unwrap();
    let path = folder.path().join("pagerow.toml");
    std::fs::write(&path, "[postgres]\nurl = \"env:DATABASE_URL\"\n[notion]\ntoken = \"file:token\"\n")
        .unwrap();
    let config = Config::load(&path, &[]).unwrap();
    assert_eq!(config.notion.token.expose_secret(), "from a file");
    let debug = format!("{config:?}");
    assert!(!debug.contains("hunter2") && !debug.contains("from a file"), "{debug}");
    let missing = Config::load(&folder.path().join("no.toml"), &[]).unwrap_err();
    assert!(missing.to_string().contains("pagerow init"), "{missing}");
}

#[test]
fn addresses_of_databases_are_ids() {
    let text = fields("a = \"A\"").replace(
        ID,
        &format!("https://www.notion.so/acme/Suppliers-{ID}?v=00000000000000000000000000000000"),
    );
    let DataSourceWish::Id(id) = parse(&text).unwrap().mappings[0].data_source.value else { panic!() };
    assert_eq!(id.simple().to_string(), ID);
}

#[test]
fn the_history_is_kept_for_a_year_unless_the_configuration_says_otherwise() {
    let kept = |line: &str| parse(&format!("{HEAD}[sync]\n{line}\n")).map(|config| config.keep_history);
    let days = |days: u64| Some(Duration::from_secs(days * 86_400));
    assert_eq!(kept("").unwrap(), days(365));
    assert_eq!(kept("keep_history = \"90d\"").unwrap(), days(90));
    assert_eq!(kept("keep_history = \"forever\"").unwrap(), None);
    for wrong in ["1h", "never", "0d"] {
        let errors = kept(&format!("keep_history = \"{wrong}\"")).unwrap_err().0;
        assert_eq!((errors[0].code, errors.len()), ("wrong_duration", 1), "{wrong}");
    }
    let errors = parse(&mapping("keep_history = \"90d\"")).unwrap_err().0;
    assert_eq!(errors[0].code, "unknown_key", "it is no mapping's");
}

fn example() -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../config.example.toml");
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn the_example_is_valid_and_shows_the_defaults() {
    let example = example();
    let config = parse(&example).unwrap_or_else(|errors| panic!("{errors}"));
    // What the example says, apart from places, is what an empty file means.
    let empty = parse(HEAD).unwrap();
    let rules = |rules: &Rules| {
        let mut rules = rules.clone();
        rules.direction = Setting::default_of("", rules.direction.value);
        rules.on_page_trashed = Setting::default_of("", OnPageTrashed::Ask);
        rules.capture = Setting::default_of("", rules.capture.value);
        format!("{rules:?}")
    };
    assert_eq!(rules(&config.rules), rules(&empty.rules));
    assert_eq!(config.rules.on_page_trashed.value, empty.rules.on_page_trashed.value);
    assert_eq!(config.keep_history, empty.keep_history);
    assert_eq!(config.notion.base_url, empty.notion.base_url);
    assert_eq!(config.notion.requests_per_minute, empty.notion.requests_per_minute);
    assert_eq!(config.notion.doubt, empty.notion.doubt);
    assert_eq!(config.notion.timeout, empty.notion.timeout);
    assert_eq!(config.postgres.schema, empty.postgres.schema);
    assert_eq!(config.serve, empty.serve);
    assert_eq!(config.mappings[0].key_property.value.as_deref(), Some(super::mapping::KEY_PROPERTY));
    assert!(
        example.contains(
            &PropertyWord::ALL.iter().map(|(word, _)| *word).take(3).collect::<Vec<_>>().join(", ")
        )
    );
}

#[test]
fn the_example_shows_every_setting() {
    let example = example();
    let probe = format!(
        "[postgres]\nzzzz = 1\n[notion]\nzzzz = 1\n[sync]\nzzzz = 1\n[serve]\nzzzz = 1\n[auth]\nzzzz = 1\n[mapping.s]\nzzzz = 1\n\
         [mapping.s.stamp]\nzzzz = 1\n[mapping.s.columns]\nzzzz = 1\n[mapping.s.fields]\na = {{ property = \"{ID}\", zzzz = 1 }}\n"
    );
    let errors = parse(&probe).unwrap_err().0;
    let lists: Vec<&str> =
        errors.iter().filter_map(|error| error.advice.as_deref()?.strip_prefix("valid keys are ")).collect();
    assert_eq!(lists.len(), 9, "one list of keys for each section");
    for name in lists
        .iter()
        .flat_map(|list| list.split(", "))
        .filter(|name| !["fields", "stamp", "columns"].contains(name))
    {
        let shown = example.lines().any(|line| {
            line.split([' ', '{', '#', ','])
                .zip(line.split([' ', '{', '#', ',']).skip(1))
                .any(|(a, b)| a == name && b == "=")
        });
        assert!(shown, "{name} is not in the example");
    }
}

#[test]
fn a_backup_is_asked_for_by_a_switch_or_a_name() {
    let head = format!("{HEAD}\n[mapping.s]\ntable = \"s\"\ndata_source = \"{ID}\"\n");
    let backup = |line: &str| {
        let config = parse(&format!("{head}{line}\n[mapping.s.fields]\na = \"A\"\n"))?;
        Ok::<_, ConfigErrors>(config.mappings[0].stamp.backup.as_ref().map(|setting| setting.value.clone()))
    };
    assert_eq!(backup("").unwrap(), None);
    assert_eq!(backup("backup = false").unwrap(), None);
    assert_eq!(backup("backup = true").unwrap().as_deref(), Some("Backup"));
    assert_eq!(backup("backup = \"Whole\"").unwrap().as_deref(), Some("Whole"));
    let errors = backup("backup = 7").unwrap_err().0;
    assert!(errors[0].to_string().contains("true, false, or the name of a property"), "{}", errors[0]);
}

#[test]
fn a_key_for_backups_is_checked_and_never_shown() {
    let with = |key: &str| {
        let variables = Environment::of([
            ("DATABASE_URL", "postgres://db.example/app"),
            ("NOTION_API_KEY", "ntn_x"),
            ("PAGEROW_BACKUP_KEY", key),
        ]);
        Config::parse(Source { path: "pagerow.toml".into(), text: HEAD.into() }, &variables, &[])
    };
    let key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    let config = with(key).unwrap();
    assert!(config.backup_key.is_some() && !format!("{config:?}").contains("AAEC"));
    assert!(with("").unwrap().backup_key.is_none());
    let errors = with("hunter2").unwrap_err().0;
    assert_eq!(errors[0].code, "wrong_backup_key");
    assert!(!errors[0].to_string().contains("hunter2"), "{}", errors[0]);
}
