//! How far partitions were read: for each, the offset of the record that comes next.

use bytestring::ByteString;
use rdkafka::{Offset, TopicPartitionList};

/// Next offsets by partition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Marks {
    entries: Vec<Mark>,
    /// Where the last one noted is: records come in runs of one partition.
    last: usize,
}

/// One partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) topic: ByteString,
    pub(crate) partition: i32,
    pub(crate) next: i64,
}

impl Marks {
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(crate) fn iter(&self) -> std::slice::Iter<'_, Mark> {
        self.entries.iter()
    }

    /// The place of a partition, without comparing texts where it is the one noted last.
    fn place(&mut self, topic: &str, partition: i32) -> Option<usize> {
        let is_it = |mark: &Mark| mark.partition == partition && mark.topic == topic;
        if !self.entries.get(self.last).is_some_and(is_it) {
            self.last = self.entries.iter().position(is_it)?;
        }
        Some(self.last)
    }

    /// A record was read: the next offset of its partition is this one. Offsets never go back.
    pub(crate) fn note(&mut self, topic: &ByteString, partition: i32, next: i64) {
        match self.place(topic, partition) {
            Some(place) => {
                if let Some(mark) = self.entries.get_mut(place) {
                    mark.next = mark.next.max(next);
                }
            }
            None => {
                self.last = self.entries.len();
                self.entries.push(Mark { topic: topic.clone(), partition, next });
            }
        }
    }

    /// Takes over all marks of another list.
    pub(crate) fn merge(&mut self, other: &Self) {
        for mark in &other.entries {
            self.note(&mark.topic, mark.partition, mark.next);
        }
    }

    /// Forgets all partitions but these.
    pub(crate) fn keep(&mut self, partitions: &[(ByteString, i32)]) {
        self.entries.retain(|mark| is_among(partitions, &mark.topic, mark.partition));
        self.last = 0;
    }

    /// The marks as librdkafka wants them.
    pub(crate) fn to_list(&self) -> TopicPartitionList {
        let mut list = TopicPartitionList::with_capacity(self.entries.len());
        for mark in &self.entries {
            // Refused only where an offset has no raw form; these are plain numbers.
            drop(list.add_partition_offset(&mark.topic, mark.partition, Offset::Offset(mark.next)));
        }
        list
    }
}

/// The partitions of a list of librdkafka's.
pub(crate) fn partitions(list: &TopicPartitionList) -> Vec<(ByteString, i32)> {
    list.elements().iter().map(|element| (element.topic().into(), element.partition())).collect()
}

/// Whether a partition is among these.
pub(crate) fn is_among(partitions: &[(ByteString, i32)], topic: &str, partition: i32) -> bool {
    partitions.iter().any(|(known, number)| *number == partition && known == topic)
}

#[cfg(test)]
mod tests {
    use super::Marks;

    #[test]
    fn marks_never_go_back_and_are_kept_by_partition() {
        let mut marks = Marks::default();
        for (topic, partition, next) in [("a", 0, 5), ("a", 1, 7), ("a", 0, 3), ("b", 0, 1), ("a", 1, 9)] {
            marks.note(&topic.into(), partition, next);
        }
        let mut other = Marks::default();
        other.note(&"b".into(), 0, 4);
        other.note(&"c".into(), 2, 1);
        marks.merge(&other);
        marks.keep(&[("a".into(), 0), ("b".into(), 0), ("c".into(), 2), ("x".into(), 0)]);
        let all: Vec<_> = marks.iter().map(|mark| (&*mark.topic, mark.partition, mark.next)).collect();
        assert_eq!(all, [("a", 0, 5), ("b", 0, 4), ("c", 2, 1)]);
    }
}
