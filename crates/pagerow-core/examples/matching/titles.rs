//! Titles as they stand in real tables: companies, people, products, tasks, numbered things; in several languages and
//! scripts. And the neighbours that look like them.

use crate::chance::Chance;

/// A title, and the title of a neighbour: another record that people would name nearly the same.
pub(crate) struct Named {
    pub(crate) title: String,
    pub(crate) neighbour: String,
}

/// One made-up title.
pub(crate) fn title(chance: &mut Chance) -> Named {
    match chance.below(100) {
        0..22 => company(chance),
        22..40 => person(chance),
        40..58 => product(chance),
        58..78 => task(chance),
        78..88 => numbered(chance),
        _ => other_script(chance),
    }
}

/// The texts of an SQL dump that could be titles: quoted, with a letter, neither dates nor long.
pub(crate) fn from_sql(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for line in text.lines().filter(|line| line.starts_with("INSERT INTO")) {
        let quoted = line.split('\'').skip(1).step_by(2);
        let titles = quoted.filter(|text| {
            let letters = text.chars().filter(|c| c.is_alphabetic()).count();
            letters >= 6 && text.contains(' ') && text.chars().count() <= 60
        });
        found.extend(titles.map(str::to_owned));
    }
    found.sort();
    found.dedup();
    found
}

fn named(title: String, neighbour: String) -> Named {
    Named { title, neighbour }
}

/// Two different ones.
fn two<'a>(chance: &mut Chance, from: &[&'a str]) -> (&'a str, &'a str) {
    let at = chance.below(from.len());
    let other = (at + 1 + chance.below(from.len() - 1)) % from.len();
    (from[at], from[other])
}

fn company(chance: &mut Chance) -> Named {
    let (name, other_name) = if chance.percent(45) {
        (coined(chance), coined(chance))
    } else {
        let (one, two) = two(chance, &SURNAMES);
        (one.to_owned(), two.to_owned())
    };
    let (trade, other_trade) = two(chance, &TRADES);
    let (form, other_form) = two(chance, &FORMS);
    let (city, other_city) = two(chance, &CITIES);
    match chance.below(5) {
        0 => named(format!("{name} {trade} {form}"), format!("{name} {other_trade} {form}")),
        1 => named(format!("{name} & {other_name} {form}"), format!("{name} & {other_name} {other_form}")),
        2 => named(format!("{name} {trade} {city}"), format!("{name} {trade} {other_city}")),
        3 => named(format!("{name} {trade}, {form}"), format!("{other_name} {trade}, {form}")),
        _ => named(format!("{name} {form}"), format!("{name} {trade} {form}")),
    }
}

/// A name that no dictionary has.
fn coined(chance: &mut Chance) -> String {
    let mut name = String::new();
    for _ in 0..chance.below(2) + 2 {
        name.push_str(two(chance, &ONSETS).0);
        name.push_str(two(chance, &RIMES).0);
    }
    let mut letters = name.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

fn person(chance: &mut Chance) -> Named {
    let (first, other_first) = two(chance, &FIRST_NAMES);
    let (last, other_last) = two(chance, &SURNAMES);
    match chance.below(4) {
        0 => {
            let middle = chance.pick(&FIRST_NAMES);
            named(format!("{first} {middle} {last}"), format!("{other_first} {middle} {last}"))
        }
        1 => named(format!("Dr. {first} {last}"), format!("Dr. {first} {other_last}")),
        2 => {
            let company = coined(chance);
            named(format!("{first} {last} ({company})"), format!("{other_first} {last} ({company})"))
        }
        _ => named(format!("{first} {last}"), format!("{other_first} {last}")),
    }
}

fn product(chance: &mut Chance) -> Named {
    let (quality, other_quality) = two(chance, &QUALITIES);
    let (thing, other_thing) = two(chance, &THINGS);
    let (size, other_size) = two(chance, &SIZES);
    let maker = coined(chance);
    match chance.below(5) {
        0 => named(format!("{quality} {thing} {size}"), format!("{quality} {thing} {other_size}")),
        1 => named(format!("{maker} {thing} {size}"), format!("{maker} {other_thing} {size}")),
        2 => named(format!("{maker} {quality} {thing}"), format!("{maker} {other_quality} {thing}")),
        3 => {
            let number = chance.below(9_000) + 1_000;
            let model = |number: usize| format!("{maker} {thing} {}-{number}", &maker[..2].to_uppercase());
            named(model(number), model(number + 1 + chance.below(20)))
        }
        _ => named(format!("{thing}, {quality}, {size}"), format!("{thing}, {quality}, {other_size}")),
    }
}

fn task(chance: &mut Chance) -> Named {
    let (verb, other_verb) = two(chance, &VERBS);
    let (object, other_object) = two(chance, &OBJECTS);
    let (circumstance, other_circumstance) = two(chance, &CIRCUMSTANCES);
    let client = if chance.percent(50) { coined(chance) } else { (*chance.pick(&SURNAMES)).to_owned() };
    match chance.below(5) {
        0 => {
            named(format!("{verb} {object} {circumstance}"), format!("{verb} {object} {other_circumstance}"))
        }
        1 => named(format!("{verb} {object} for {client}"), format!("{verb} {other_object} for {client}")),
        2 => named(format!("{client}: {verb} {object}"), format!("{client}: {other_verb} {object}")),
        3 => {
            let (one, two) = two(chance, &GERMAN_TASKS);
            named(format!("{one} {client}"), format!("{two} {client}"))
        }
        _ => {
            let (one, two) = two(chance, &ROMANCE_TASKS);
            named(format!("{one} {client} {circumstance}"), format!("{two} {client} {circumstance}"))
        }
    }
}

fn numbered(chance: &mut Chance) -> Named {
    let number = chance.below(90_000) + 1_000;
    let next = number + 1 + chance.below(9);
    match chance.below(6) {
        0 => named(format!("Order {number}"), format!("Order {next}")),
        1 => named(format!("Invoice 2026-{number:05}"), format!("Invoice 2026-{next:05}")),
        2 => {
            let (one, two) = two(chance, &["A", "B", "C", "D", "North", "South", "I", "II", "III"]);
            let city = format!("{} {}", chance.pick(&CITIES), coined(chance));
            named(format!("Plant {city} {one}"), format!("Plant {city} {two}"))
        }
        3 => {
            let project = coined(chance);
            named(
                format!("{project} Sprint {}", number % 40),
                format!("{project} Sprint {}", number % 40 + 1),
            )
        }
        4 => {
            let (one, two) =
                two(chance, &["January", "February", "March", "April", "June", "July", "October"]);
            let client = coined(chance);
            named(format!("{client} report {one} 2026"), format!("{client} report {two} 2026"))
        }
        _ => {
            let company = coined(chance);
            named(format!("RFQ {number} {company}"), format!("RFQ {next} {company}"))
        }
    }
}

fn other_script(chance: &mut Chance) -> Named {
    match chance.below(6) {
        0 => {
            let (form, other_form) = two(chance, &["ООО", "ЗАО", "АО", "ИП"]);
            let (name, other) = two(chance, &RUSSIAN);
            named(
                format!("{form} {name}{}", chance.pick(&RUSSIAN).to_lowercase()),
                format!("{other_form} {other}"),
            )
        }
        1 => {
            let (first, other_first) = two(chance, &RUSSIAN_FIRST);
            let last = chance.pick(&RUSSIAN_LAST);
            named(format!("{first} {last}"), format!("{other_first} {last}"))
        }
        2 => {
            let (first, other_first) = two(chance, &GREEK_FIRST);
            let last = chance.pick(&GREEK_LAST);
            named(format!("{first} {last}"), format!("{other_first} {last}"))
        }
        3 => {
            let (city, other_city) = two(chance, &CHINESE_CITIES);
            let name: String = (0..3).map(|_| *chance.pick(&CHINESE_NAME)).collect();
            let (trade, other_trade) = two(chance, &CHINESE_TRADES);
            if chance.percent(50) {
                named(format!("{city}{name}{trade}有限公司"), format!("{other_city}{name}{trade}有限公司"))
            } else {
                named(format!("{city}{name}{trade}有限公司"), format!("{city}{name}{other_trade}有限公司"))
            }
        }
        4 => {
            let name: String = (0..3).map(|_| *chance.pick(&KANA)).collect();
            let (trade, other_trade) = two(chance, &["製作所", "工業株式会社", "商事", "電機", "システムズ"]);
            named(format!("{name}{trade}"), format!("{name}{other_trade}"))
        }
        _ => {
            let (one, two) = two(chance, &ARABIC);
            let (trade, other) = (chance.pick(&ARABIC), chance.pick(&ARABIC));
            named(format!("شركة {one} {trade} {other}"), format!("شركة {two} {trade} {other}"))
        }
    }
}

const ONSETS: [&str; 24] = [
    "b", "br", "c", "d", "dr", "f", "g", "h", "k", "l", "m", "n", "p", "pr", "qu", "r", "s", "st", "t", "tr",
    "v", "w", "x", "z",
];
const RIMES: [&str; 14] = ["a", "e", "i", "o", "u", "ai", "eo", "io", "an", "en", "or", "ex", "ix", "um"];

const FIRST_NAMES: [&str; 96] = [
    "Anna",
    "Anne",
    "Hanna",
    "Hannah",
    "Marie",
    "Maria",
    "Mario",
    "Marta",
    "Martha",
    "Martin",
    "Jan",
    "Jana",
    "Jon",
    "John",
    "Johan",
    "Johanna",
    "Juan",
    "José",
    "Joseph",
    "Josef",
    "Stefan",
    "Stephan",
    "Steven",
    "Stephen",
    "Eva",
    "Ewa",
    "Eve",
    "Peter",
    "Petra",
    "Pedro",
    "Pierre",
    "Paul",
    "Paula",
    "Pablo",
    "Karl",
    "Carl",
    "Carlos",
    "Carla",
    "Charles",
    "Charlotte",
    "Michael",
    "Michel",
    "Michelle",
    "Miguel",
    "Mikael",
    "Katarina",
    "Catherine",
    "Kathrin",
    "Robert",
    "Roberto",
    "Richard",
    "Ricardo",
    "Thomas",
    "Tomasz",
    "Tomás",
    "Tobias",
    "Lars",
    "Lena",
    "Lina",
    "Linda",
    "Lucas",
    "Lukas",
    "Luca",
    "Lucia",
    "François",
    "Françoise",
    "Francesca",
    "Francisco",
    "Zoë",
    "Chloé",
    "Renée",
    "René",
    "Jürgen",
    "Jörg",
    "Björn",
    "Søren",
    "Åsa",
    "Øyvind",
    "Ayşe",
    "Mehmet",
    "Emre",
    "Fatima",
    "Ahmed",
    "Amir",
    "Priya",
    "Rahul",
    "Wei",
    "Ling",
    "Yuki",
    "Kenji",
    "Min-ho",
    "Nguyen",
    "Olga",
    "Igor",
    "Oleksandr",
    "Siobhán",
];

const SURNAMES: [&str; 120] = [
    "Müller",
    "Schmidt",
    "Schmitt",
    "Schmitz",
    "Schneider",
    "Fischer",
    "Weber",
    "Meyer",
    "Meier",
    "Maier",
    "Wagner",
    "Becker",
    "Schulz",
    "Schulze",
    "Hoffmann",
    "Hofmann",
    "Koch",
    "Bauer",
    "Richter",
    "Klein",
    "Wolf",
    "Wolff",
    "Schröder",
    "Neumann",
    "Schwarz",
    "Zimmermann",
    "Braun",
    "Krüger",
    "Hansen",
    "Hanson",
    "Jensen",
    "Jansen",
    "Janssen",
    "Olsen",
    "Olson",
    "Larsen",
    "Larsson",
    "Andersen",
    "Anderson",
    "Andersson",
    "Nielsen",
    "Petersen",
    "Peterson",
    "Smith",
    "Smyth",
    "Johnson",
    "Johnston",
    "Williams",
    "Williamson",
    "Brown",
    "Browne",
    "Jones",
    "Davis",
    "Davies",
    "Miller",
    "Wilson",
    "Moore",
    "Taylor",
    "Thomas",
    "Thompson",
    "Thomson",
    "Jackson",
    "White",
    "Harris",
    "Clark",
    "Clarke",
    "Lewis",
    "Robinson",
    "Walker",
    "Young",
    "Allen",
    "Alan",
    "King",
    "Wright",
    "Scott",
    "Torres",
    "García",
    "Martínez",
    "Rodríguez",
    "López",
    "Hernández",
    "González",
    "Pérez",
    "Sánchez",
    "Ramírez",
    "Flores",
    "Dupont",
    "Durand",
    "Dubois",
    "Moreau",
    "Laurent",
    "Lefèvre",
    "Lefebvre",
    "Leroy",
    "Rousseau",
    "Fournier",
    "Rossi",
    "Russo",
    "Ferrari",
    "Esposito",
    "Bianchi",
    "Romano",
    "Colombo",
    "Ricci",
    "Kowalski",
    "Kowalska",
    "Nowak",
    "Wiśniewski",
    "Wójcik",
    "Kamiński",
    "Novák",
    "Novotný",
    "Dvořák",
    "Yılmaz",
    "Kaya",
    "Demir",
    "O'Brien",
    "O'Connor",
    "Murphy",
    "van der Berg",
];

const TRADES: [&str; 34] = [
    "Manufacturing",
    "Technologies",
    "Technology",
    "Logistics",
    "Consulting",
    "International",
    "Engineering",
    "Industries",
    "Foods",
    "Trading",
    "Chemicals",
    "Pharma",
    "Software",
    "Systems",
    "Solutions",
    "Partners",
    "Capital",
    "Energy",
    "Plastics",
    "Steel",
    "Textiles",
    "Shipping",
    "Design",
    "Studio",
    "Media",
    "Farms",
    "Bakery",
    "Brewery",
    "Motors",
    "Aerospace",
    "Laboratories",
    "Services",
    "Bau",
    "Maschinenbau",
];
const FORMS: [&str; 14] = [
    "Inc.",
    "LLC",
    "Ltd.",
    "Limited",
    "GmbH",
    "AG",
    "S.A.",
    "SARL",
    "S.p.A.",
    "B.V.",
    "Corporation",
    "Company",
    "GmbH & Co. KG",
    "plc",
];
const CITIES: [&str; 24] = [
    "Berlin",
    "Hamburg",
    "München",
    "Köln",
    "Zürich",
    "Wien",
    "Paris",
    "Lyon",
    "London",
    "Leeds",
    "Dublin",
    "Madrid",
    "Barcelona",
    "Lisboa",
    "Milano",
    "Roma",
    "Warszawa",
    "Praha",
    "Boston",
    "Austin",
    "Seattle",
    "Toronto",
    "Osaka",
    "Singapore",
];
const QUALITIES: [&str; 26] = [
    "Stainless",
    "Heavy-duty",
    "Organic",
    "Wireless",
    "Portable",
    "Hydraulic",
    "Pneumatic",
    "Galvanised",
    "Folding",
    "Insulated",
    "Waterproof",
    "Industrial",
    "Digital",
    "Compact",
    "Premium",
    "Recycled",
    "Magnetic",
    "Adjustable",
    "Raw",
    "Smoked",
    "Dark roast",
    "Low-fat",
    "Anti-slip",
    "Cordless",
    "Double-walled",
    "High-pressure",
];
const THINGS: [&str; 40] = [
    "steel bolt",
    "hex nut",
    "ball bearing",
    "centrifugal pump",
    "pressure valve",
    "conveyor belt",
    "LED panel",
    "desk lamp",
    "office chair",
    "coffee beans",
    "olive oil",
    "rye bread",
    "cheddar",
    "salmon fillet",
    "cotton shirt",
    "rain jacket",
    "hiking boots",
    "water bottle",
    "keyboard",
    "monitor stand",
    "USB cable",
    "power supply",
    "circuit breaker",
    "drill bit",
    "angle grinder",
    "safety goggles",
    "work gloves",
    "paint roller",
    "wall anchor",
    "garden hose",
    "seed drill",
    "tractor tyre",
    "brake pad",
    "spark plug",
    "oil filter",
    "notebook",
    "fountain pen",
    "label printer",
    "packing tape",
    "pallet jack",
];
const SIZES: [&str; 26] = [
    "M6", "M8", "M10", "10 mm", "12 mm", "2.5 mm", "25 mm", "500 g", "1 kg", "5 kg", "250 ml", "1 l", "2 l",
    "230 V", "110 V", "S", "M", "L", "XL", "A4", "A5", "10 pcs", "100 pcs", "v2", "v3", "3/4 inch",
];
const VERBS: [&str; 22] = [
    "Review",
    "Update",
    "Prepare",
    "Send",
    "Fix",
    "Migrate",
    "Design",
    "Test",
    "Deploy",
    "Document",
    "Order",
    "Schedule",
    "Renew",
    "Cancel",
    "Approve",
    "Translate",
    "Archive",
    "Measure",
    "Clean up",
    "Write",
    "Call about",
    "Follow up on",
];
const OBJECTS: [&str; 30] = [
    "the contract",
    "the homepage",
    "quarterly report",
    "onboarding checklist",
    "database backup",
    "price list",
    "landing page",
    "login form",
    "release notes",
    "travel budget",
    "supplier audit",
    "safety training",
    "holiday calendar",
    "customer survey",
    "warehouse inventory",
    "e-mail templates",
    "payment terms",
    "test plan",
    "board meeting slides",
    "job posting",
    "office lease",
    "fire extinguishers",
    "press release",
    "API documentation",
    "data protection policy",
    "user interviews",
    "invoice layout",
    "newsletter",
    "delivery schedule",
    "meeting notes",
];
const CIRCUMSTANCES: [&str; 20] = [
    "before Friday",
    "next week",
    "in Q1",
    "in Q2",
    "in Q3",
    "(urgent)",
    "with legal",
    "with finance",
    "for Berlin",
    "for Paris",
    "in staging",
    "in production",
    "again",
    "2025",
    "2026",
    "phase 1",
    "phase 2",
    "on mobile",
    "for new hires",
    "after the move",
];
const GERMAN_TASKS: [&str; 12] = [
    "Angebot prüfen",
    "Rechnung schreiben an",
    "Vertrag verlängern mit",
    "Übergabe vorbereiten für",
    "Kündigung bestätigen",
    "Bestellung auslösen bei",
    "Schulung planen für",
    "Büro umräumen mit",
    "Jahresabschluss besprechen mit",
    "Größentabelle ändern für",
    "Lieferung verschieben an",
    "Mängelliste abarbeiten",
];
const ROMANCE_TASKS: [&str; 12] = [
    "Préparer la réunion avec",
    "Envoyer le devis à",
    "Vérifier la facture de",
    "Préparer le déménagement de",
    "Revisar el contrato de",
    "Enviar la cotización a",
    "Actualizar el catálogo de",
    "Preparar la reunión con",
    "Controllare la fattura di",
    "Inviare l'offerta a",
    "Verificare il magazzino di",
    "Rever a proposta de",
];
const RUSSIAN: [&str; 20] = [
    "Строй",
    "Тех",
    "Пром",
    "Металл",
    "Энерго",
    "Транс",
    "Хим",
    "Агро",
    "Сервис",
    "Торг",
    "Авто",
    "Электро",
    "Маш",
    "Снаб",
    "Нефте",
    "Газ",
    "Лес",
    "Мор",
    "Инвест",
    "Связь",
];
const RUSSIAN_FIRST: [&str; 14] = [
    "Анна",
    "Иван",
    "Пётр",
    "Ольга",
    "Сергей",
    "Юлия",
    "Дмитрий",
    "Екатерина",
    "Алексей",
    "Наталья",
    "Михаил",
    "Татьяна",
    "Андрей",
    "Евгений",
];
const RUSSIAN_LAST: [&str; 18] = [
    "Иванов",
    "Петров",
    "Сидоров",
    "Кузнецов",
    "Смирнов",
    "Попов",
    "Соколов",
    "Щербаков",
    "Жуков",
    "Чернышевский",
    "Достоевский",
    "Васильев",
    "Зайцев",
    "Морозов",
    "Волков",
    "Лебедев",
    "Шестаков",
    "Хрущёв",
];
const GREEK_FIRST: [&str; 10] =
    ["Γιώργος", "Μαρία", "Ελένη", "Νίκος", "Κώστας", "Άννα", "Δημήτρης", "Σοφία", "Παναγιώτης", "Χρήστος"];
const GREEK_LAST: [&str; 10] = [
    "Παπαδόπουλος",
    "Νικολαΐδης",
    "Γεωργίου",
    "Κωνσταντίνου",
    "Αντωνίου",
    "Οικονόμου",
    "Μακρής",
    "Ζαχαρίας",
    "Χατζής",
    "Βασιλείου",
];
const CHINESE_CITIES: [&str; 8] = ["北京", "上海", "深圳", "广州", "杭州", "成都", "武汉", "南京"];
const CHINESE_NAME: [char; 30] = [
    '华', '信', '新', '中', '天', '海', '金', '龙', '大', '明', '东', '方', '光', '达', '安', '泰', '康',
    '宏', '远', '诚', '博', '瑞', '丰', '盛', '宇', '星', '科', '德', '美', '联',
];
const CHINESE_TRADES: [&str; 7] = ["科技", "贸易", "机械", "电子", "化工", "食品", "物流"];
const KANA: [&str; 24] = [
    "山", "田", "川", "松", "本", "中", "村", "東", "西", "大", "日", "光", "カ", "ガ", "ト", "ド", "ミ",
    "ナ", "サ", "ザ", "ヤ", "マ", "ハ", "バ",
];
const ARABIC: [&str; 16] = [
    "النور",
    "الأمل",
    "الخليج",
    "الشرق",
    "المدينة",
    "البحر",
    "السلام",
    "الفجر",
    "النجم",
    "الربيع",
    "للتجارة",
    "للمقاولات",
    "للصناعة",
    "للنقل",
    "للأغذية",
    "للبرمجيات",
];
