//! How an upload is cut into parts.

/// How many parts an upload may have on S3 and Google; Azure allows more.
const PARTS_MAX: u64 = 10_000;

/// Where parts begin and how long they are, in order. All but the last are equally long, as Google and R2 want it.
pub fn parts(length: u64, part_bytes: u64) -> Vec<(u64, u64)> {
    let part_bytes = part_bytes.max(length.div_ceil(PARTS_MAX)).max(1);
    (0..length.div_ceil(part_bytes))
        .map(|number| (number * part_bytes, part_bytes.min(length - number * part_bytes)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::parts;

    #[test]
    fn parts_cover_everything_once() {
        assert_eq!(parts(0, 5), []);
        assert_eq!(parts(4, 5), [(0, 4)]);
        assert_eq!(parts(10, 5), [(0, 5), (5, 5)]);
        assert_eq!(parts(11, 5), [(0, 5), (5, 5), (10, 1)]);
        let many = parts(1 << 40, 5 << 20);
        assert!(many.len() <= 10_000);
        assert_eq!(many.iter().map(|(_, length)| length).sum::<u64>(), 1 << 40);
        assert!(many.windows(2).all(|pair| pair[0].0 + pair[0].1 == pair[1].0));
    }
}
