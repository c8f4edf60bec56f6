//! Addresses of interfaces, of the gateway and of name servers in another form than their options take.

use std::net::{IpAddr, Ipv4Addr};

use super::evidence::ExitContext;
use super::listed_definitions::{list_element, listed, values};
use super::written_values;
use super::written_values::DefinedValue;
use crate::common::attribute_path;
use crate::nixos::log::NixError;

/// What people call the list of addresses.
const OTHER_NAMES: [&str; 11] = [
    "addr",
    "address",
    "ip",
    "ip4",
    "ip6",
    "ipAddress",
    "ipaddr",
    "ipaddress",
    "ipv4Address",
    "ipv6Address",
    "prefixLength",
];

/// What nixpkgs reports for an IPv4 address with a length, because it reads the parts between the dots as numbers.
const SLASH_FOR_NUMBER: &str = "toInt: Could not convert \"/\" to int";

/// What to write in place of an address that lacks the length of its network, or has one where none belongs.
pub(super) fn hint(context: &ExitContext<'_>, error: &NixError) -> Option<String> {
    let summary = error.summary.as_str();
    wrong_length(context, summary)
        .or_else(|| wrong_type(summary))
        .or_else(|| incomplete(context, summary))
        .or_else(|| mask(summary))
        .or_else(|| other_name(summary))
        .or_else(|| in_place_of_family(context, summary))
        .or_else(|| in_place_of_list(context, summary))
        .or_else(|| superfluous_length(context, summary))
}

/// An address and, if it is written, the length of its network.
struct Address<'a> {
    ip: IpAddr,
    length: Option<&'a str>,
}

impl<'a> Address<'a> {
    /// The address in `text`, which may be in quotes.
    fn parse(text: &'a str) -> Option<Self> {
        let text = text.trim_matches('"');
        let (ip, length) = match text.split_once('/') {
            Some((ip, length)) => (ip, Some(length)),
            None => (text, None),
        };
        let ip: IpAddr = ip.parse().ok()?;
        let most = if ip.is_ipv4() { 32 } else { 128 };
        let is_length = |text: &str| text.parse::<u8>().is_ok_and(|length| length <= most);
        length.is_none_or(is_length).then_some(Self { ip, length })
    }

    /// The element of the list of an interface's addresses.
    fn element(&self) -> String {
        let Self { ip, length } = self;
        let length = length.unwrap_or(if ip.is_ipv4() { "24" } else { "64" });
        format!("{{ address = \"{ip}\"; prefixLength = {length}; }}")
    }

    /// What to say of the length if it is not the user's.
    fn note(&self) -> &'static str {
        match (self.length, self.ip) {
            (Some(_), _) => "",
            (None, IpAddr::V4(_)) => " (most home networks have 24)",
            (None, IpAddr::V6(_)) => " (most networks have 64)",
        }
    }
}

/// The definition of an interface's `option`, or of that for the other family of addresses, with only this address.
fn definition(option: &str, address: &Address<'_>) -> String {
    let family = if address.ip.is_ipv6() {
        ".ipv6.addresses"
    } else {
        ".ipv4.addresses"
    };
    let ends = [".ipv4.addresses", ".ipv6.addresses", ".ipv4", ".ipv6"];
    let interface = ends
        .iter()
        .find_map(|end| option.strip_suffix(end))
        .unwrap_or(option);
    let note = address.note();
    format!(
        "write {interface}{family} = [ {} ];{note}",
        address.element()
    )
}

/// Whether the address belongs in the list `option`.
fn is_of_family(option: &str, address: &Address<'_>) -> bool {
    option.contains(".ipv6.") == address.ip.is_ipv6()
}

/// What an interface's `option` has, where the user's own address is not known.
fn example(option: &str) -> String {
    let example = if option.contains(".ipv6.") {
        "{ address = \"fd00::5\"; prefixLength = 64; }"
    } else {
        "{ address = \"192.168.1.5\"; prefixLength = 24; }"
    };
    format!("write each address as a set with its prefix length, such as {option} = [ {example} ];")
}

/// The option with an interface's addresses that `option`, or an element of it, is.
fn list_of_addresses(option: &str) -> Option<&str> {
    let list = list_element(option).map_or(option, |(list, _)| list);
    let is_one = list.starts_with("networking.interfaces.")
        && [".ipv4.addresses", ".ipv6.addresses"]
            .iter()
            .any(|end| list.ends_with(end));
    is_one.then_some(list)
}

fn wrong_type(summary: &str) -> Option<String> {
    let rest = summary.strip_prefix("A definition for option `")?;
    let (option, _) = rest.split_once("' is not of type `")?;
    let mut values = values(summary);
    let only = values.next().filter(|_| values.next().is_none());
    if option == "networking.nameservers" {
        return name_servers(only?);
    }
    let address = only.and_then(Address::parse);
    if let Some(address) = address.as_ref().filter(|_| is_interface(option)) {
        return Some(definition(option, address));
    }
    let list = list_of_addresses(option)?;
    // A number of the wrong type inside an element is explained elsewhere.
    let is_element = option != list;
    if is_element && !option.ends_with(']') && !option.ends_with("]\"") {
        return None;
    }
    Some(match (address, only) {
        (Some(address), Some(written)) if is_element && is_of_family(list, &address) => {
            let note = address.note();
            format!("write {} instead of {written}{note}", address.element())
        }
        (Some(address), _) => definition(list, &address),
        (None, _) => example(list),
    })
}

/// Whether `option` is an interface, or the set of its addresses of one family.
fn is_interface(option: &str) -> bool {
    let names = attribute_path::parse(option).unwrap_or_default();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    matches!(
        names.as_slice(),
        ["networking", "interfaces", _] | ["networking", "interfaces", _, "ipv4" | "ipv6"]
    )
}

/// The length of a network that is none of IPv4, mostly of an address of IPv6 among those of IPv4.
fn wrong_length(context: &ExitContext<'_>, summary: &str) -> Option<String> {
    let (option, _) = summary
        .strip_prefix("A definition for option `")?
        .split_once("' is not of type `")?;
    let list = list_of_addresses(option).filter(|_| option.ends_with(".prefixLength"))?;
    let length: u64 = values(summary).next()?.parse().ok()?;
    if !list.ends_with(".ipv4.addresses") || length <= 32 {
        return None;
    }
    let path = format!("{list}.address");
    let written = only_value(context, |text| written_values::values_of(text, &path));
    let has_other = only_value(context, |text| {
        let mut lists = written_values::values_of(text, &list_of_six(list));
        lists.truncate(1);
        lists
    })
    .is_some();
    let of_user = written.filter(|_| !has_other).and_then(|(place, value)| {
        let text = format!("{}/{length}", value.written.trim_matches('"'));
        let address = Address::parse(&text).filter(|address| address.ip.is_ipv6())?;
        Some(format!(
            "{place}: for an IPv6 address, {}",
            definition(list, &address)
        ))
    });
    let of_user = of_user.or_else(|| among_others(context, summary, option, length));
    Some(of_user.unwrap_or_else(|| {
        "the prefix length of an IPv4 network is at most 32. Most home networks have 24".to_owned()
    }))
}

/// The option with the addresses of IPv6 beside `list`, that with those of IPv4.
fn list_of_six(list: &str) -> String {
    list.replace(".ipv4.addresses", ".ipv6.addresses")
}

/// Where the address of IPv6 belongs that is one of several in the list of `option`, with the `length` of its network.
fn among_others(
    context: &ExitContext<'_>,
    summary: &str,
    option: &str,
    length: u64,
) -> Option<String> {
    let (list, number) = list_element(option)?;
    let (file, _) = listed(summary).next()?;
    let elements = written_values::list_elements(&context.files?.text(file)?, list)?;
    let written = elements.get(number.checked_sub(1)?)?;
    let mut strings = written.split('"').skip(1).step_by(2);
    let address = strings.next().filter(|_| strings.next().is_none())?;
    let address = format!("{address}/{length}");
    let address = Address::parse(&address).filter(|address| address.ip.is_ipv6())?;
    Some(format!(
        "{} is an IPv6 address. Move it into the list {}: {}",
        address.ip,
        list_of_six(list),
        address.element()
    ))
}

/// The list of the name servers that `value` has in one string.
fn name_servers(value: &str) -> Option<String> {
    let text = value.strip_prefix('"')?.strip_suffix('"')?;
    let servers = text.split([' ', ',', ';']).filter(|part| !part.is_empty());
    let servers = servers.map(|part| part.parse::<IpAddr>().ok());
    let servers: Option<Vec<IpAddr>> = servers.collect();
    let quoted = servers?.into_iter().map(|server| format!("\"{server}\" "));
    let quoted: String = quoted.collect();
    (!quoted.is_empty()).then(|| format!("write networking.nameservers = [ {quoted}];"))
}

/// An address without the length of its network.
fn incomplete(context: &ExitContext<'_>, summary: &str) -> Option<String> {
    let (option, rest) = summary.strip_prefix("The option `")?.split_once('\'')?;
    // The second one is what nixpkgs said before 26.11.
    let is_missing = ["was accessed but has no value", "is used but not defined"]
        .iter()
        .any(|text| rest.trim_start().starts_with(text));
    let list = list_of_addresses(option).filter(|list| *list != option && is_missing)?;
    let path = format!("{list}.address");
    let written = only_value(context, |text| written_values::values_of(text, &path));
    let of_user = written.and_then(|(place, value)| {
        let address = Address::parse(&value.written)?;
        Some(format!("{place}: {}", definition(list, &address)))
    });
    Some(of_user.unwrap_or_else(|| example(list)))
}

/// A mask in place of the length of a network.
fn mask(summary: &str) -> Option<String> {
    let (option, rest) = summary.strip_prefix("The option `")?.split_once('\'')?;
    let list =
        list_of_addresses(option).filter(|_| rest.trim_start().starts_with("does not exist"))?;
    let name = option.rsplit('.').next()?;
    let is_mask = ["mask", "netMask", "netmask", "subnetMask"].contains(&name);
    let value = values(summary)
        .next()
        .filter(|_| is_mask && list.ends_with(".ipv4.addresses"))?;
    let bits = u32::from(value.trim_matches('"').parse::<Ipv4Addr>().ok()?);
    let length = bits.leading_ones();
    let is_whole = bits.count_ones() == length;
    is_whole.then(|| format!("write prefixLength = {length}; instead of {name} = {value};"))
}

/// An option that does not exist, in place of the list of addresses.
fn other_name(summary: &str) -> Option<String> {
    let (option, rest) = summary.strip_prefix("The option `")?.split_once('\'')?;
    let (parent, name) = option.rsplit_once('.')?;
    let interface = parent
        .strip_suffix(".ipv4")
        .or(parent.strip_suffix(".ipv6"));
    let interface = interface
        .unwrap_or(parent)
        .strip_prefix("networking.interfaces.")?;
    let is_meant = OTHER_NAMES.contains(&name) && rest.trim_start().starts_with("does not exist");
    if !is_meant || interface.contains('.') {
        return None;
    }
    let address = values(summary).find_map(Address::parse);
    let is_six = match &address {
        Some(address) => address.ip.is_ipv6(),
        None => option.contains(".ipv6") || name == "ip6",
    };
    let family = if is_six { "ipv6" } else { "ipv4" };
    let list = format!("networking.interfaces.{interface}.{family}.addresses");
    Some(address.map_or_else(|| example(&list), |address| definition(&list, &address)))
}

/// An address that is the value of `ipv4` or `ipv6` itself.
fn in_place_of_family(context: &ExitContext<'_>, summary: &str) -> Option<String> {
    let (_, rest) = summary.split_once("rather than an attribute set for the option\n`")?;
    let (option, _) = rest.split_once('\'')?;
    let interface = option.strip_prefix("networking.interfaces.")?;
    let (_, family) = interface.rsplit_once('.')?;
    if !["ipv4", "ipv6"].contains(&family) {
        return None;
    }
    let (place, value) = only_value(context, |text| written_values::values_of(text, option))?;
    let address = Address::parse(&value.written)?;
    let list = format!("{option}.addresses");
    Some(format!("{place}: {}", definition(&list, &address)))
}

/// An address that is the value of the list itself, where Nix reads the list before it knows its type.
fn in_place_of_list(context: &ExitContext<'_>, summary: &str) -> Option<String> {
    let rest = summary.strip_prefix("expected a list but found a string: \"")?;
    let string = rest.strip_suffix('"')?;
    let (place, value) = only_value(context, |text| {
        let mut found = written_values::whole_strings(text, string);
        found.retain(|value| list_of_addresses(&value.defines).is_some());
        found
    })?;
    let address = Address::parse(&value.written)?;
    Some(format!("{place}: {}", definition(&value.defines, &address)))
}

/// The length of a network in an address of IPv4 that is read as numbers.
fn superfluous_length(context: &ExitContext<'_>, summary: &str) -> Option<String> {
    if !summary.starts_with(SLASH_FOR_NUMBER) {
        return None;
    }
    let (place, value) = only_value(context, |text| {
        let is_address = |value: &DefinedValue| is_single_address(&value.defines);
        let has_length = |value: &DefinedValue| {
            Address::parse(&value.written).is_some_and(|address| address.length.is_some())
        };
        let found = written_values::strings_with(text, "/").into_iter();
        found
            .filter(|value| is_address(value) && has_length(value))
            .collect()
    })?;
    let address = Address::parse(&value.written)?;
    let name = value.defines.rsplit('.').next()?;
    Some(format!(
        "{place}: this option takes the address without a prefix length: {name} = \"{}\";",
        address.ip
    ))
}

/// Whether the option `path` has an address alone.
fn is_single_address(path: &str) -> bool {
    let of_interface = path
        .strip_suffix(".address")
        .is_some_and(|list| list_of_addresses(list).is_some());
    of_interface
        || [
            "networking.defaultGateway",
            "networking.defaultGateway.address",
        ]
        .contains(&path)
}

/// The only value that `find` finds in the user's files, and its place.
fn only_value(
    context: &ExitContext<'_>,
    find: impl Fn(&str) -> Vec<DefinedValue>,
) -> Option<(String, DefinedValue)> {
    let (place, value) = context.files?.only_place(|text| {
        let found = find(text).into_iter();
        found.map(|value| (value.line, value)).collect()
    })?;
    Some((format!("{}{place}", context.shown_dir), value))
}
