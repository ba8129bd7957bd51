//! Who may publish without credentials: a list of networks.

use alloc::vec::Vec;
use core::{fmt, net::IpAddr, str::FromStr};

/// A list of networks in CIDR form. IPv4 addresses mapped into IPv6 (what a dual-stack socket reports) count as
/// IPv4.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Networks(Vec<Network>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Networks {
    /// Loopback, RFC 1918, link-local and unique local addresses.
    pub const PRIVATE: &'static str =
        "127.0.0.0/8,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,169.254.0.0/16,::1/128,fc00::/7,fe80::/10";

    /// Whether `address` lies in one of the networks.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(address))
    }
}

impl Default for Networks {
    fn default() -> Networks {
        Networks::PRIVATE.parse().expect("the constant is well-formed: test `private_networks_may_publish`")
    }
}

impl FromStr for Networks {
    type Err = BadNetwork;

    /// Comma-separated: `10.0.0.0/8`, `::1`, `private` (see [`Networks::PRIVATE`]), `any`, `none`.
    fn from_str(text: &str) -> Result<Networks, BadNetwork> {
        let mut networks = Vec::new();
        for item in text.split(',').map(str::trim) {
            match item {
                "none" => {}
                "any" => networks.extend("0.0.0.0/0,::/0".parse::<Networks>()?.0),
                "private" => networks.extend(Networks::PRIVATE.parse::<Networks>()?.0),
                _ => networks.push(item.parse()?),
            }
        }
        Ok(Networks(networks))
    }
}

impl Network {
    fn contains(&self, address: IpAddr) -> bool {
        let (own, other, bits) = match (self.address, address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => (own.to_bits().into(), other.to_bits().into(), 32),
            (IpAddr::V6(own), IpAddr::V6(other)) => (own.to_bits(), other.to_bits(), 128),
            _ => return false,
        };
        // A shift by all bits overflows: prefix 0, which contains everything.
        let host_bits = bits - u32::from(self.prefix);
        let network = |address: u128| address.checked_shr(host_bits).unwrap_or(0);
        network(own) == network(other)
    }
}

impl FromStr for Network {
    type Err = BadNetwork;

    fn from_str(text: &str) -> Result<Network, BadNetwork> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| BadNetwork)?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            Some(prefix) => prefix.parse().ok().filter(|prefix| *prefix <= bits).ok_or(BadNetwork)?,
            None => bits,
        };
        Ok(Network { address, prefix })
    }
}

impl fmt::Display for Networks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("nowhere");
        }
        for (index, network) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{}/{}", network.address, network.prefix)?;
        }
        Ok(())
    }
}

/// Not an address, `address/prefix`, `private`, `any` or `none`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadNetwork;

impl fmt::Display for BadNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a list of networks such as 10.0.0.0/8,::1,private,any,none")
    }
}

impl core::error::Error for BadNetwork {}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_in(networks: &str, address: &str) -> bool {
        networks.parse::<Networks>().unwrap().contains(address.parse().unwrap())
    }

    #[test]
    fn private_networks_may_publish() {
        for address in [
            "127.0.0.1",
            "10.1.2.3",
            "172.31.255.255",
            "192.168.0.9",
            "169.254.1.1",
            "::1",
            "fd00::1",
            "fe80::1",
        ] {
            assert!(Networks::default().contains(address.parse().unwrap()), "{address}");
        }
        for address in ["8.8.8.8", "172.32.0.1", "11.0.0.1", "2001:db8::1", "::", "::2", "fec0::1"] {
            assert!(!Networks::default().contains(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn addresses_mapped_into_ipv6_count_as_ipv4() {
        assert!(is_in("private", "::ffff:127.0.0.1"));
        assert!(!is_in("private", "::ffff:8.8.8.8"));
        assert!(!is_in("::/0", "::ffff:8.8.8.8"));
    }

    #[test]
    fn prefixes_cut_anywhere() {
        assert!(is_in("10.0.0.128/25", "10.0.0.255"));
        assert!(!is_in("10.0.0.128/25", "10.0.0.127"));
        assert!(is_in("1.2.3.4", "1.2.3.4") && !is_in("1.2.3.4", "1.2.3.5"));
        assert!(is_in("any", "8.8.8.8") && is_in("any", "2001:db8::1"));
        assert!(!is_in("none", "127.0.0.1"));
        assert!(
            is_in("none, 2001:db8::/33", "2001:db8:7fff::") && !is_in("2001:db8::/33", "2001:db8:8000::")
        );
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "10.0.0.0/33", "::/129", "10.0.0/8", "10.0.0.0/", "10.0.0.0/-1", "all", "any,,none"]
        {
            assert_eq!(text.parse::<Networks>(), Err(BadNetwork), "{text}");
        }
    }
}
