//! A snapshot written by hand.

const META: &str = r#""meta":{"node_fields":["type","name","id","self_size","edge_count","detachedness"],
"node_types":[["hidden","object"],"string","number","number","number","number"],
"edge_fields":["type","name_or_index","to_node"],"edge_types":[["element","property"],"string_or_number","node"],
"location_fields":["object_index","script_id","line","column"],"sample_fields":["timestamp_us","last_assigned_id"],
"trace_function_info_fields":["function_id","name","script_name","script_id","line","column"],
"trace_node_fields":["id","function_info_index","count","size","children"]}"#;

/// A small snapshot, every part of which can be replaced.
pub(crate) fn small() -> String {
    format!(
        r#"{{"snapshot":{{{META},"node_count":2,"edge_count":2,"trace_function_count":1}},
"nodes":[1,0,1,16,2,0
,1,1,3,8,0,2
],
"edges":[1,1,6
,0,7,0
],
"trace_function_infos":[5,0,1,3,-1,-1],
"trace_tree":[1,0,2,3,[2,0,1,1,[]]],
"samples":[100,1
,5000000000,3],
"locations":[6,1,2,3],
"strings":["","\ud83d\ude00 \u00e9é\n"]}}"#
    )
}

/// The small snapshot with one part replaced.
pub(crate) fn changed(from: &str, to: &str) -> String {
    let text = small();
    assert!(text.contains(from), "{from}");
    text.replacen(from, to, 1)
}
