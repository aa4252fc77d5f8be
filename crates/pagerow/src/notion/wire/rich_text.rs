//! Rich text: the words for everybody, the formatting kept as it came.

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::opaque::Opaque;
use super::tagged::Text;

/// A run of rich text items in order. Empty is Notion's only form of "no text".
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct RichText(pub Vec<RichTextItem>);

impl RichText {
    /// What a person reads, formatting aside.
    pub fn plain_text(&self) -> String {
        match self.0.as_slice() {
            [only] => only.plain_text.clone(),
            items => items.iter().map(|item| item.plain_text.as_str()).collect(),
        }
    }

    /// Whether plain text says everything: no style, link, mention or equation would be lost.
    pub fn is_plain(&self) -> bool {
        self.0.iter().all(|item| item.formatted.is_none())
    }
}

/// One run of text in one style, or one mention or equation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RichTextItem {
    pub plain_text: String,
    /// The whole item as it came, when it is more than plain text; it may be sent back as it is.
    pub formatted: Option<Opaque>,
}

impl<'de> Deserialize<'de> for RichTextItem {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?;
        if let Ok(item) = serde_json::from_str::<PlainItem<'_>>(raw.get())
            && item.is_plain()
        {
            return Ok(Self { plain_text: item.plain_text.0.into_owned(), formatted: None });
        }
        let item: AnyItem<'_> = serde_json::from_str(raw.get()).map_err(serde::de::Error::custom)?;
        let plain_text = item.plain_text.or(item.text.map(|text| text.content));
        Ok(Self {
            plain_text: plain_text.map(|text| text.0.into_owned()).unwrap_or_default(),
            formatted: Some(Opaque::of(raw)),
        })
    }
}

/// An item of plain text and nothing else: any key beyond these makes it formatted.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PlainItem<'a> {
    #[serde(rename = "type")]
    kind: Text<'a>,
    text: PlainContent<'a>,
    #[serde(borrow)]
    annotations: Annotations<'a>,
    plain_text: Text<'a>,
    href: Option<Text<'a>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PlainContent<'a> {
    #[serde(borrow)]
    content: Text<'a>,
    #[serde(borrow)]
    link: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Annotations<'a> {
    bold: bool,
    italic: bool,
    strikethrough: bool,
    underline: bool,
    code: bool,
    #[serde(borrow)]
    color: Text<'a>,
}

impl PlainItem<'_> {
    fn is_plain(&self) -> bool {
        let style = &self.annotations;
        self.kind.0 == "text"
            && self.text.link.is_none()
            && self.href.is_none()
            && self.text.content == self.plain_text
            && style.color.0 == "default"
            && !(style.bold || style.italic || style.strikethrough || style.underline || style.code)
    }
}

/// What we need of any other item.
#[derive(Deserialize)]
struct AnyItem<'a> {
    #[serde(borrow)]
    plain_text: Option<Text<'a>>,
    #[serde(borrow)]
    text: Option<AnyContent<'a>>,
}

#[derive(Deserialize)]
struct AnyContent<'a> {
    #[serde(borrow)]
    content: Text<'a>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &str = r#"{"type":"text","text":{"content":"a\"b","link":null},
        "annotations":{"bold":false,"italic":false,"strikethrough":false,"underline":false,"code":false,"color":"default"},
        "plain_text":"a\"b","href":null}"#;

    fn item(json: &str) -> RichTextItem {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn plain_text_is_only_its_words() {
        assert_eq!(item(PLAIN), RichTextItem { plain_text: "a\"b".into(), formatted: None });
    }

    #[test]
    fn anything_more_keeps_the_whole_item() {
        for more in [
            PLAIN.replace("\"bold\":false", "\"bold\":true"),
            PLAIN.replace("\"color\":\"default\"", "\"color\":\"red\""),
            PLAIN.replace("\"link\":null", "\"link\":{\"url\":\"https://a.example/\"}"),
            PLAIN.replace("\"href\":null", "\"href\":\"https://a.example/\""),
            PLAIN.replace("\"href\":null", "\"href\":null,\"new_key\":1"),
            PLAIN.replace("\"code\":false", "\"code\":false,\"new_style\":true"),
            PLAIN.replace("\"content\":\"a\\\"b\"", "\"content\":\"other\""),
        ] {
            let item = item(&more);
            assert_eq!(item.plain_text, "a\"b");
            assert_eq!(item.formatted.unwrap().as_json(), more);
        }
    }

    #[test]
    fn mentions_and_sparse_items_are_read() {
        let mention = r#"{"type":"mention","mention":{"type":"page","page":{"id":"x"}},"plain_text":"Home","href":null}"#;
        assert_eq!(item(mention).plain_text, "Home");
        assert!(item(mention).formatted.is_some());
        assert_eq!(item(r#"{"type":"text","text":{"content":"bare"}}"#).plain_text, "bare");
        assert!(serde_json::from_str::<RichTextItem>("7").is_err());
    }
}
