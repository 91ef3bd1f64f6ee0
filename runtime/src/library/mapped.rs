//! How far memory that a file claims to have can be read.

/// Readable memory of this process, as ranges of addresses in order that do not touch; none where the system does not say.
pub(super) struct Mapped(Vec<std::ops::Range<usize>>);

impl Mapped {
    /// What is mapped now.
    pub(super) fn now() -> Mapped {
        let text = if cfg!(target_os = "linux") {
            std::fs::read_to_string("/proc/self/maps")
        } else {
            Ok(String::new())
        };
        Mapped::parse(&text.unwrap_or_default())
    }

    /// Nothing is known.
    pub(super) fn unknown() -> Mapped {
        Mapped(Vec::new())
    }

    /// Lines `start-end permissions …`, in order of their addresses.
    fn parse(text: &str) -> Mapped {
        let mut ranges: Vec<std::ops::Range<usize>> = Vec::new();
        for line in text.lines() {
            let mut words = line.split_whitespace();
            let bounds = words.next().and_then(|it| it.split_once('-'));
            let readable = words.next().is_some_and(|it| it.starts_with('r'));
            let number = |it: &str| usize::from_str_radix(it, 16).ok();
            let Some((start, end)) = bounds.and_then(|(start, end)| Some((number(start)?, number(end)?)))
            else {
                continue;
            };
            match ranges.last_mut() {
                Some(last) if readable && last.end == start => last.end = end,
                _ if readable => ranges.push(start..end),
                _ => {}
            }
        }
        Mapped(ranges)
    }

    /// How many bytes can be read from an address on; `None` where that is not known.
    pub(super) fn room(&self, address: usize) -> Option<usize> {
        if self.0.is_empty() {
            return None;
        }
        Some(self.0.iter().find(|it| it.contains(&address)).map_or(0, |it| it.end - address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_joined_and_end_where_nothing_is_read() {
        let text = "1000-2000 r--p 00000000 00:00 0 x.so\n2000-3000 rw-p 0 00:00 0\n3000-4000 ---p 0 00:00 0\nno line\n";
        let mapped = Mapped::parse(text);
        let room = |address| mapped.room(address);
        assert_eq!([room(0x1000), room(0x1fff), room(0x2fff)], [Some(0x2000), Some(0x1001), Some(1)]);
        assert_eq!([room(0x3000), room(0xfff)], [Some(0), Some(0)]);
        assert_eq!(Mapped::unknown().room(0x1000), None);
    }
}
