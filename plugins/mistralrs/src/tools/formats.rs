//! String formats as regular expressions. Each admits only what every common validator accepts: no leap seconds, no
//! 30 February, no host without a dot.

/// The pattern of a format of JSON Schema 2020-12; `None`: it is not known, and holds for any string.
pub(crate) fn pattern(format: &str) -> Option<String> {
    let date = format!("(?:{LEAP_YEAR}-02-29|{YEAR}-(?:{MONTH_31}-{DAY_31}|{MONTH_30}-{DAY_30}|02-{DAY_28}))");
    let body = match format {
        "date" => date,
        "time" => format!("{TIME}{ZONE}"),
        "date-time" => format!("{date}T{TIME}{ZONE}"),
        "duration" => "P(?:[0-9]{1,4}D(?:T[0-9]{1,4}[HMS])?|T[0-9]{1,4}[HMS])".to_owned(),
        "email" | "idn-email" => format!("[a-z0-9]{{1,16}}(?:[._-][a-z0-9]{{1,16}}){{0,2}}@{HOST}"),
        "hostname" | "idn-hostname" => HOST.to_owned(),
        "ipv4" => format!("{BYTE}(?:\\.{BYTE}){{3}}"),
        "ipv6" => "[0-9a-f]{1,4}(?::[0-9a-f]{1,4}){7}".to_owned(),
        "uuid" => "[0-9a-f]{8}-[0-9a-f]{4}-[1-5][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}".to_owned(),
        "uri" | "url" | "iri" | "uri-reference" | "iri-reference" => {
            format!("https?://{HOST}(?:/[A-Za-z0-9._~-]{{0,64}}){{0,8}}")
        }
        _ => return None,
    };
    Some(format!("^{body}$"))
}

const YEAR: &str = "(?:19|20)[0-9]{2}";
const LEAP_YEAR: &str = "(?:19|20)(?:0[48]|[2468][048]|[13579][26])";
const MONTH_31: &str = "(?:0[13578]|1[02])";
const MONTH_30: &str = "(?:0[469]|11)";
const DAY_31: &str = "(?:0[1-9]|[12][0-9]|3[01])";
const DAY_30: &str = "(?:0[1-9]|[12][0-9]|30)";
const DAY_28: &str = "(?:0[1-9]|1[0-9]|2[0-8])";
const TIME: &str = "(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\\.[0-9]{1,6})?";
const ZONE: &str = "(?:Z|[+-](?:0[0-9]|1[0-3]):[0-5][0-9])";
const BYTE: &str = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";
const HOST: &str =
    "[a-z0-9]{1,32}(?:-[a-z0-9]{1,16})?(?:\\.[a-z0-9]{1,32}){0,2}\\.(?:com|org|net|io|dev|app|info|edu|gov)";
