//! The reader on snapshots small enough to write by hand.

use heaprs::{
    progress::Progress,
    snapshot::{EdgeType, NodeType, ReadOptions, Snapshot},
};

const SMALL: &str = r#"{"snapshot":{"meta":{"node_fields":["type","name","id","self_size","edge_count","detachedness"],
"node_types":[["hidden","object","later"],"string","number","number","number","number"],
"edge_fields":["type","name_or_index","to_node"],"edge_types":[["element","property"],"string_or_number","node"]},
"node_count":2,"edge_count":2},
"nodes":[1,0,1,16,2,0
,2,1,3,8,0,2
],
"edges":[1,1,6
,0,7,0
],
"strings":["","\ud83d\ude00\ud83d"]}"#;

#[test]
fn columns_of_a_small_snapshot() {
    let s = Snapshot::from_bytes(SMALL.as_bytes(), &ReadOptions::default(), &Progress::default()).unwrap();
    assert_eq!((s.node_count(), s.edge_count(), s.root()), (2, 2, 0));
    assert_eq!((s.node_type(0), s.node_type(1)), (NodeType::Object, NodeType::Unknown0));
    assert_eq!(s.type_name(s.node_type(1)), "later");
    assert_eq!(s.node_name(1).as_bytes(), b"\xf0\x9f\x98\x80\xed\xa0\xbd");
    assert_eq!((s.detachedness(0), s.detachedness(1)), (Some(0), Some(2)));
    let edges: Vec<_> = s.edges(0).map(|e| (e.kind, e.name_or_index, e.to)).collect();
    assert_eq!(edges, [(EdgeType::Property, 1, 1), (EdgeType::Element, 7, 0)]);
}
