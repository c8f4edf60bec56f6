//! Numbers that an option does not take: out of its range, in quotes, or with a unit. Pure.

use super::listed_definitions::list_element;
use super::wrong_value::Wrong;

/// Options that count in MiB.
const OF_MEBIBYTES: [&str; 4] = [
    "sdImage.firmwarePartitionOffset",
    "sdImage.firmwareSize",
    "virtualisation.diskSize",
    "virtualisation.memorySize",
];

/// The size of a swap file, as messages name it.
const SIZE_OF_SWAP: &str = "swapDevices.\"[definition 1-entry 1]\".size";

/// What to write for a value that an option whose type is a number, or a list of numbers, does not take; `None` if that is not
/// certain.
pub(super) fn hint(wrong: &Wrong<'_>) -> Option<String> {
    let Wrong {
        option,
        kind,
        shown: value,
        ..
    } = *wrong;
    if !kind.contains("integer") {
        return None;
    }
    let number = value.parse::<i128>().ok();
    if let Some((least, most)) = range(kind)
        && let Some(number) = number.filter(|number| !(least..=most).contains(number))
    {
        let is_port = (least, most) == (0, 65_535) && option.to_lowercase().contains("port");
        return Some(if is_port {
            format!("{number} is not a port. Ports are numbers from 0 to 65535")
        } else {
            format!("{number} is out of range. Write a number from {least} to {most}")
        });
    }
    let text = value.strip_prefix('"')?.strip_suffix('"')?;
    if let Some(port) = port_of(text).filter(|_| option.to_lowercase().contains("port")) {
        let is_list = kind.starts_with("list of ");
        let port = if is_list {
            format!("[ {port} ]")
        } else {
            port.to_string()
        };
        return Some(format!(
            "a port is a number. Write {}",
            wrong.definition(&port, value)
        ));
    }
    let is_of_list = kind.starts_with("list of ");
    let words = text
        .split([' ', ','])
        .filter(|word| !word.is_empty() && is_of_list);
    let words: Vec<&str> = words.collect();
    if !words.is_empty() && words.iter().all(|word| is_number(word)) {
        let list = format!("[ {} ]", words.join(" "));
        return Some(format!("write {}", wrong.definition(&list, value)));
    }
    let (number, unit) = plain(option, text).filter(|_| !is_of_list)?;
    let definition = wrong.definition(&number.to_string(), value);
    Some(format!("write {definition}{unit}"))
}

/// The port of the service `name`.
fn port_of(name: &str) -> Option<u16> {
    Some(match name {
        "ssh" => 22,
        "dns" | "domain" => 53,
        "http" => 80,
        "https" => 443,
        "mqtt" => 1883,
        _ => return None,
    })
}

/// Whether `value`, as Nix shows it, is a number.
pub(super) fn is_number(value: &str) -> bool {
    let digits = value.strip_prefix('-').unwrap_or(value);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// The least and the greatest number of the type `kind`.
fn range(kind: &str) -> Option<(i128, i128)> {
    let (_, rest) = kind.split_once("between ")?;
    let (least, rest) = rest.split_once(" and ")?;
    let most = rest.split(' ').next()?;
    Some((least.parse().ok()?, most.parse().ok()?))
}

/// The definition, without its unit, of the number that is `written` without quotes behind `before`, for an option that counts in MiB.
pub(super) fn with_unit(before: &str, written: &str) -> Option<String> {
    let begun = before.trim_end().strip_suffix('=')?;
    let name = begun.split_whitespace().next_back()?;
    let is_swap = name == "size" && begun.contains("swapDevices");
    let option = if is_swap { SIZE_OF_SWAP } else { name };
    let (number, unit) = plain(option, written)?;
    Some(format!("{name} = {number};{unit}"))
}

/// The number that `text` is for `option`, and what to say of its unit.
fn plain(option: &str, text: &str) -> Option<(i128, &'static str)> {
    let is_digit = |c: char| c.is_ascii_digit();
    let (digits, unit) =
        text.split_at_checked(text.find(|c| !is_digit(c)).unwrap_or(text.len()))?;
    // Nix has no numbers that begin with a zero.
    let is_plain = !digits.starts_with('0') || digits == "0";
    let number: i128 = digits.parse().ok().filter(|_| is_plain)?;
    let is_swap = list_element(option).is_some_and(|(list, _)| list == "swapDevices");
    let is_size =
        OF_MEBIBYTES.contains(&option) || is_swap && option.rsplit('.').next() == Some("size");
    let percent = option.ends_with("Percent") && unit == "%";
    match unit.trim().to_ascii_lowercase().as_str() {
        "" => Some((number, "")),
        "%" if percent => Some((number, "")),
        "m" | "mb" | "mib" if is_size => Some((number, " (its unit is MiB)")),
        "g" | "gb" | "gib" if is_size => Some((number.checked_mul(1024)?, " (its unit is MiB)")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PORT: &str = "16 bit unsigned integer; between 0 and 65535 (both inclusive)";

    #[test]
    fn numbers_out_of_range_are_named() {
        let ports = "networking.firewall.allowedTCPPorts";
        let element = format!("{ports}.\"[definition 1-entry 2]\"");
        for (option, kind, value, told) in [
            (
                element.as_str(),
                PORT.to_owned(),
                "80000",
                Some("80000 is not a port. Ports are numbers from 0 to 65535"),
            ),
            (
                ports,
                format!("list of {PORT}"),
                "80000",
                Some("80000 is not a port. Ports are numbers from 0 to 65535"),
            ),
            (
                "services.x.level",
                "integer between -5 and 5 (both inclusive)".to_owned(),
                "-6",
                Some("-6 is out of range. Write a number from -5 to 5"),
            ),
            (ports, format!("list of {PORT}"), "80", None),
            (
                "services.x.level",
                "positive integer, meaning >0".to_owned(),
                "0",
                None,
            ),
        ] {
            assert_eq!(
                hint(&Wrong::at(option, false, &kind, value)).as_deref(),
                told,
                "{value}"
            );
        }
    }

    #[test]
    fn numbers_in_quotes_are_written_without_them() {
        let port = "networking.firewall.allowedTCPPorts.\"[definition 1-entry 1]\"";
        let swap = "swapDevices.\"[definition 1-entry 1]\".size";
        let mebibytes =
            |number: u32| format!("write sdImage.firmwareSize = {number}; (its unit is MiB)");
        let list = format!("list of {PORT}");
        for (option, kind, value, told) in [
            (
                "sdImage.firmwareSize",
                "signed integer",
                "\"256M\"",
                mebibytes(256),
            ),
            (
                "sdImage.firmwareSize",
                "signed integer",
                "\"1 GiB\"",
                mebibytes(1024),
            ),
            (
                "sdImage.firmwareSize",
                "signed integer",
                "\"256\"",
                "write sdImage.firmwareSize = 256;".to_owned(),
            ),
            (
                swap,
                "signed integer",
                "\"2G\"",
                "write 2048 instead of \"2G\" (its unit is MiB)".to_owned(),
            ),
            (
                port,
                PORT,
                "\"80\"",
                "write 80 instead of \"80\"".to_owned(),
            ),
            (
                port,
                PORT,
                "\"http\"",
                "a port is a number. Write 80 instead of \"http\"".to_owned(),
            ),
            (
                "services.openssh.ports",
                list.as_str(),
                "\"22, 80\"",
                "write services.openssh.ports = [ 22 80 ];".to_owned(),
            ),
        ] {
            assert_eq!(
                hint(&Wrong::at(option, false, kind, value)),
                Some(told),
                "{option} {value}"
            );
        }
    }

    #[test]
    fn texts_that_are_no_certain_number_are_left() {
        let size = "sdImage.firmwareSize";
        for (option, value) in [
            (size, "\"256K\""),
            (size, "\"all\""),
            (size, "\"0256\""),
            (size, "\"\""),
            ("services.x.size", "\"256M\""),
        ] {
            assert_eq!(
                hint(&Wrong::at(option, false, "signed integer", value)),
                None,
                "{value}"
            );
        }
        assert_eq!(hint(&Wrong::at(size, false, "string", "\"256\"")), None);
    }
}
