//! Delivery directives: the query of a request for the media playlist (draft-pantos-hls-rfc8216bis, 6.2.5).

/// What a client wants of a playlist.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Directives {
    /// `_HLS_msn`: not without the segment of this number.
    pub(super) msn: Option<u64>,
    /// `_HLS_part`: its part of this number will do.
    pub(super) part: Option<u64>,
    /// `_HLS_skip=YES`. `v2` wants date ranges skipped, which is not offered, and is answered in full.
    pub(super) may_skip: bool,
}

impl Directives {
    /// # Errors
    /// Why the request cannot be answered.
    pub(super) fn parse(query: &str) -> Result<Directives, &'static str> {
        let mut directives = Directives::default();
        for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            let number = || value.parse().map(Some);
            match name {
                "_HLS_msn" => directives.msn = number().map_err(|_| "_HLS_msn is no number")?,
                "_HLS_part" => directives.part = number().map_err(|_| "_HLS_part is no number")?,
                "_HLS_skip" => directives.may_skip = value == "YES",
                _ => {}
            }
        }
        if directives.part.is_some() && directives.msn.is_none() {
            return Err("_HLS_part without _HLS_msn");
        }
        Ok(directives)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives_are_found_among_other_parameters() {
        assert_eq!(Directives::parse(""), Ok(Directives::default()));
        let all = Directives { msn: Some(12), part: Some(3), may_skip: true };
        assert_eq!(Directives::parse("token=x&_HLS_msn=12&_HLS_part=3&_HLS_skip=YES&y"), Ok(all));
        assert_eq!(Directives::parse("_HLS_skip=v2"), Ok(Directives::default()));
        for bad in ["_HLS_msn=", "_HLS_msn=-1", "_HLS_msn=1&_HLS_part=x", "_HLS_part=1"] {
            assert!(Directives::parse(bad).is_err(), "{bad}");
        }
    }
}
