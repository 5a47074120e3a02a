//! `codec`: any frames, events and bytes. Frames end where there are bytes; each event is encoded or refused, once.

use bytes::Bytes;

use super::{Case, Recipe, cases};

const ROWS: u32 = 6;

#[test]
fn codec() {
    cases("codec", 60, |mut case: Case| async move {
        let recipe = Recipe { exports: vec!["codec"], imports: vec!["log"], rows: ROWS, ..Recipe::default() };
        let setup = case.setup(&recipe);
        let Some(codec) = case.taken(case.rig.try_codec(&setup)) else { return };
        let stream = Bytes::from_static(b"0123456789");
        for at_end in [false, true] {
            let result = codec.frame(stream.clone(), at_end).await;
            case.came_to(result.is_ok());
            let Ok(ends) = result else { continue };
            assert!(ends.is_sorted_by(|a, b| a < b), "{ends:?}");
            assert!(ends.iter().all(|end| (1..=stream.len()).contains(end)), "{ends:?}");
        }
        let frames: Vec<Bytes> = (0..ROWS).map(|number| Bytes::from(format!("frame {number}"))).collect();
        if let Ok(decoded) = codec.decode(frames.clone()).await {
            let mut refused: Vec<_> = decoded.refused.iter().map(|(frame, _)| frame.clone()).collect();
            let count = refused.len();
            refused.sort();
            refused.dedup();
            assert_eq!(refused.len(), count, "a frame is refused twice");
            assert!(refused.iter().all(|frame| frames.contains(frame)));
        }
        let batch = case.batch(ROWS);
        if let Ok(encoded) = codec.encode(&batch).await {
            assert_eq!(encoded.batch.len() + encoded.refusals.len(), ROWS as usize);
            assert!(encoded.refusals.is_sorted_by(|a, b| a.row < b.row));
        }
        codec.close().await;
    });
}
