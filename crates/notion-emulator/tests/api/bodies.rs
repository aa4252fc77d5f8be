//! Page bodies as blocks and as Markdown.

use serde_json::{Value as Json, json};

use crate::house::{House, title};

async fn page(house: &House) -> String {
    let body = json!({
        "parent": {"page_id": house.emulator.parent_page_id()}, "properties": {"title": title("Body")},
    });
    house.ok("POST", "/v1/pages", body).await["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn markdown_comes_back_as_it_was_written() {
    let house = House::new().await;
    let id = page(&house).await;
    let path = format!("/v1/pages/{id}/markdown");
    for body in [
        "plain",
        "# One\n## Two\n### Three",
        "- a\n\t- b\n\t\t- c\n- d",
        "1. a\n2. b",
        "- [ ] open\n- [x] done",
        "> quote\n---\nafter",
        "**bold** *italic* ~~gone~~ `code` [link](https://x.example/a)",
        "```sql\nselect *\n\nfrom t;\n```",
        "| a | b |\n| --- | --- |\n| 1 | 2 |",
        "$$\ne = mc^2\n$$",
        "2 \\* 3 \\_ and \\[brackets\\] \\| bar",
        "a ***both*** b",
        "",
    ] {
        let replace = json!({"type": "replace_content", "replace_content": {"new_str": body}});
        house.ok("PATCH", &path, replace).await;
        let read = house.ok("GET", &path, Json::Null).await;
        assert_eq!(read["markdown"], body);
        assert_eq!(
            (read["object"].as_str(), read["truncated"].as_bool()),
            (Some("page_markdown"), Some(false))
        );
    }
}

#[tokio::test]
async fn a_child_page_is_not_deleted_by_accident() {
    let house = House::new().await;
    let id = page(&house).await;
    let child = json!({"parent": {"page_id": id}, "properties": {"title": title("Child")}});
    let child = house.ok("POST", "/v1/pages", child).await;
    let path = format!("/v1/pages/{id}/markdown");
    let replace = json!({"type": "replace_content", "replace_content": {"new_str": "new"}});
    house.fails(400, "PATCH", &path, replace).await;
    let text = house.ok("GET", &path, Json::Null).await["markdown"].as_str().unwrap().to_owned();
    let keep = json!({"type": "replace_content", "replace_content": {"new_str": format!("{text}\nnew")}});
    house.ok("PATCH", &path, keep).await;
    let allowed = json!({"type": "replace_content", "replace_content": {"new_str": "new", "allow_deleting_content": true}});
    house.ok("PATCH", &path, allowed).await;
    let child = house.ok("GET", &format!("/v1/pages/{}", child["id"].as_str().unwrap()), Json::Null).await;
    assert_eq!(child["in_trash"], true);
}

#[tokio::test]
async fn blocks_are_checked() {
    let house = House::new().await;
    let id = page(&house).await;
    let path = format!("/v1/blocks/{id}/children");
    let paragraph = json!({"paragraph": {"rich_text": [{"text": {"content": "x"}}]}});
    for children in [
        json!([{"nonsense": {}}]),
        json!([{"type": "child_page", "child_page": {"title": "x"}}]),
        json!(vec![paragraph.clone(); 101]),
        json!([{"paragraph": {"rich_text": [{"text": {"content": "x".repeat(2001)}}]}}]),
        json!([{"paragraph": {"rich_text": []}, "colour": "red"}]),
    ] {
        house.fails(400, "PATCH", &path, json!({ "children": children })).await;
    }
    let made = house.ok("PATCH", &path, json!({"children": vec![paragraph; 100]})).await;
    assert_eq!(made["results"].as_array().unwrap().len(), 100);
    let first = house.ok("GET", &format!("{path}?page_size=60"), Json::Null).await;
    assert_eq!((first["results"].as_array().unwrap().len(), first["has_more"].clone()), (60, json!(true)));
}

#[tokio::test]
async fn a_body_written_through_the_api_leaves_the_edit_time() {
    let house = House::new().await;
    house.control("POST", "clock", json!({"now": "2026-05-01T10:00:10Z", "freeze": true})).await;
    let id = page(&house).await;
    house.control("POST", "clock", json!({"advance_ms": 120_000})).await;
    let replace = json!({"type": "replace_content", "replace_content": {"new_str": "x"}});
    house.ok("PATCH", &format!("/v1/pages/{id}/markdown"), replace).await;
    let path = format!("/v1/pages/{id}");
    assert_eq!(house.ok("GET", &path, Json::Null).await["last_edited_time"], "2026-05-01T10:00:00.000Z");
    house.control("PUT", &format!("pages/{id}/markdown"), json!({"markdown": "by hand"})).await;
    assert_eq!(house.ok("GET", &path, Json::Null).await["last_edited_time"], "2026-05-01T10:02:00.000Z");
}
