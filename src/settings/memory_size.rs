//! The memory of a virtual machine, as users write it.

/// The least memory of a machine. U-Boot loads the initial RAM disk behind the first 64 MiB: with no more it stops without a word,
/// and with 80 MiB the smallest image boots.
const LEAST_MEMORY_MIB: u32 = 65;
/// The most memory of a machine: 1 TiB.
const MOST_MEMORY_MIB: u32 = 1 << 20;

/// Parses an amount of memory as QEMU and Docker take it: MiB, or a number with a unit. Decimal units count as the binary ones,
/// which users mean.
pub fn memory_mib(text: &str) -> Result<u32, String> {
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = text.strip_prefix(number).unwrap_or_default();
    let size = match unit.to_ascii_lowercase().as_str() {
        "" | "m" | "mb" | "mib" => 1,
        "g" | "gb" | "gib" => 1024,
        _ => {
            return Err(format!(
                "`{unit}` is not a unit of memory; write 2G or 512M"
            ));
        }
    };
    let parsed = number.parse::<u32>().ok();
    let Some(mib) = parsed.and_then(|number| number.checked_mul(size)) else {
        return Err(format!(
            "`{text}` is not an amount of memory; write 2G or 512M"
        ));
    };
    if mib < LEAST_MEMORY_MIB {
        if unit.is_empty() && mib > 0 {
            return Err(format!("that is {mib} MiB; did you mean {mib}G?"));
        }
        return Err("that is too little memory; NixOS needs about 512M".to_owned());
    }
    if mib > MOST_MEMORY_MIB {
        return Err("that is too much memory; 1024G at most".to_owned());
    }
    Ok(mib)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_has_a_unit_or_is_mib() {
        for (text, mib) in [
            ("1024", 1024),
            ("65", 65),
            ("2G", 2048),
            ("2g", 2048),
            ("512M", 512),
            ("512MiB", 512),
            ("1gb", 1024),
            ("1024G", MOST_MEMORY_MIB),
        ] {
            assert_eq!(memory_mib(text), Ok(mib), "{text}");
        }
        for (text, told) in [
            ("4", "that is 4 MiB; did you mean 4G?"),
            ("64M", "too little"),
            ("0G", "too little"),
            ("2000000", "too much"),
            ("5000000G", "not an amount"),
            ("many", "not a unit"),
            ("2T", "not a unit"),
            ("", "not an amount"),
            ("-1", "not an amount"),
        ] {
            let refused = memory_mib(text).unwrap_err();
            assert!(refused.contains(told), "{text}: {refused}");
        }
    }
}
