//! Every answer against `docs/openapi.yaml`: what is required is there, everything has its type, and nothing is there that it does not
//! name.

use super::*;
use std::{cell::RefCell, collections::BTreeSet, env, fs, process};
use weir::server::RecordConfig;

/// The file, and the calls whose answers were held against it.
struct Contract(Json, RefCell<BTreeSet<String>>);

impl Contract {
    fn read() -> Contract {
        let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/openapi.yaml")).unwrap();
        Contract(serde_yaml_ng::from_str(&text).unwrap(), RefCell::default())
    }

    fn resolve<'a>(&'a self, schema: &'a Json) -> &'a Json {
        match schema["$ref"].as_str() {
            Some(name) => self.resolve(self.0.pointer(name.trim_start_matches('#')).expect(name)),
            None => schema,
        }
    }

    /// Of an answer to a call.
    fn schema(&self, path: &str, method: &str, status: u16) -> &Json {
        let responses = &self.0["paths"][path][method]["responses"];
        let response = self.resolve(&responses[status.to_string()]);
        let schema = &response["content"]["application/json"]["schema"];
        assert!(schema.is_object(), "{method} {path} has no {status}: {responses}");
        schema
    }

    /// What is wrong with a value; empty if nothing is.
    fn faults(&self, schema: &Json, value: &Json, place: &str) -> Vec<String> {
        let schema = self.resolve(schema);
        let mut faults = Vec::new();
        if let Some(choices) = schema["oneOf"].as_array() {
            let fits = choices.iter().filter(|choice| self.faults(choice, value, place).is_empty()).count();
            if fits != 1 {
                let all: Vec<_> =
                    choices.iter().flat_map(|choice| self.faults(choice, value, place)).collect();
                faults.push(format!("{place} fits {fits} of oneOf: {all:?}"));
            }
            return faults;
        }
        let types: Vec<&str> = match &schema["type"] {
            Json::String(one) => vec![one],
            Json::Array(some) => some.iter().filter_map(Json::as_str).collect(),
            other => panic!("{place}: no type: {other}"),
        };
        let is_type = |name: &&str| match *name {
            "string" => value.is_string(),
            "integer" => value.is_u64() || value.is_i64(),
            "number" => value.is_number(),
            "boolean" => value.is_boolean(),
            "object" => value.is_object(),
            "array" => value.is_array(),
            "null" => value.is_null(),
            other => panic!("{place}: {other}"),
        };
        if !types.iter().any(is_type) {
            faults.push(format!("{place} is {value}, not {types:?}"));
        }
        if schema["enum"].as_array().is_some_and(|values| !values.contains(value)) {
            faults.push(format!("{place} is {value}, not {}", schema["enum"]));
        }
        for item in value.as_array().into_iter().flatten() {
            faults.extend(self.faults(&schema["items"], item, &format!("{place}[]")));
        }
        if let Some(fields) = value.as_object() {
            for name in schema["required"].as_array().into_iter().flatten().filter_map(Json::as_str) {
                if !fields.contains_key(name) {
                    faults.push(format!("{place} lacks {name}"));
                }
            }
            for (name, field) in fields {
                let place = format!("{place}.{name}");
                match (&schema["properties"][name], &schema["additionalProperties"]) {
                    (Json::Null, Json::Null) => faults.push(format!("{place} is not in the contract")),
                    (Json::Null, others) => faults.extend(self.faults(others, field, &place)),
                    (property, _) => faults.extend(self.faults(property, field, &place)),
                }
            }
        }
        faults
    }

    /// All calls that are answered in JSON.
    fn calls(&self) -> BTreeSet<String> {
        let methods = |(path, item): (&String, &Json)| {
            let methods = item.as_object().unwrap().keys().map(|method| format!("{method} {path}"));
            methods.collect::<Vec<_>>()
        };
        let is_json = |call: &String| call.contains("/api/v1/") || call.ends_with(".json");
        // Events come in a stream; parameters stand beside the methods.
        let is_other = |call: &String| call == "get /api/v1/events" || call.starts_with("parameters ");
        let calls = self.0["paths"].as_object().unwrap().iter().flat_map(methods).filter(is_json);
        calls.filter(|call| !is_other(call)).collect()
    }

    #[track_caller]
    fn check(&self, address: SocketAddr, (method, path): (&str, &str), target: &str, status: u16) -> Json {
        self.1.borrow_mut().insert(format!("{method} {path}"));
        let answer = ask(address, &format!("{} {target}", method.to_uppercase()));
        assert_eq!(answer.status, status, "{method} {target}: {}", answer.body);
        let json = answer.json();
        let faults = self.faults(self.schema(path, method, status), &json, target);
        assert!(faults.is_empty(), "{faults:#?}");
        json
    }
}

#[test]
fn every_answer_is_as_the_contract_says() {
    let contract = Contract::read();
    let folder = env::temp_dir().join(format!("weir-api-contract-{}", process::id()));
    let _ = fs::remove_dir_all(&folder);
    let media = folder.join("media");
    fs::create_dir_all(&media).unwrap();
    fs::write(media.join("clip.mp4"), b"x").unwrap();
    let record = RecordConfig::new(folder.join("recordings"));
    let (_server, address) = start(Config {
        demo: true,
        media: Some(media),
        record: Some(record),
        capture: Some(folder.join("captures")),
        ..config()
    });
    let (mut publisher, out) = Client::publisher(address, "cam");
    publisher.send(out, &film(3));
    let (mut player, _) = Client::player(address, "cam");
    player.tag();
    let (_waiting, _) = Client::player(address, "nobody");
    let mut lost = Client::publisher(address, "lost");
    lost.0.send(lost.1, &film(1));
    lost.0.reset();
    let get = |path: &str, target: &str| contract.check(address, ("get", path), target, 200);
    until("all are there", || {
        let states = ask(address, "GET /api/v1/streams").json();
        let states = states["streams"].as_array().unwrap();
        states.len() == 4 && states.iter().any(|one| one["state"] == "lost")
    });
    let recording = ("post", "/api/v1/streams/{path}/recording");
    contract.check(address, recording, "/api/v1/streams/live%2Fcam/recording", 201);
    contract.check(address, recording, "/api/v1/streams/live%2Fcam/recording", 409);
    contract.check(address, recording, "/api/v1/streams/live%2Fnone/recording", 404);
    let end = ("delete", recording.1);
    contract.check(address, end, "/api/v1/streams/live%2Fnone/recording", 404);
    get("/api/v1/server", "/api/v1/server");
    get("/api/v1/streams", "/api/v1/streams");
    get("/api/v1/streams/{path}", "/api/v1/streams/live%2Fcam");
    contract.check(address, ("get", "/api/v1/streams/{path}"), "/api/v1/streams/live%2Fnone", 404);
    let all = get("/api/v1/connections", "/api/v1/connections");
    assert!(all["total"].as_u64().unwrap() >= 4, "{all}");
    let id = all["connections"][0]["id"].as_u64().unwrap();
    get("/api/v1/connections/{id}", &format!("/api/v1/connections/{id}"));
    contract.check(address, ("get", "/api/v1/connections/{id}"), "/api/v1/connections/999", 404);
    contract.check(address, ("delete", "/api/v1/connections/{id}"), "/api/v1/connections/999", 404);
    let capture = format!("/api/v1/connections/{id}/capture");
    contract.check(address, ("post", "/api/v1/connections/{id}/capture"), &capture, 409);
    assert_eq!(ask(address, &format!("DELETE {capture}")).status, 204);
    contract.check(address, ("delete", "/api/v1/connections/{id}/capture"), &capture, 409);
    contract.check(address, ("post", "/api/v1/connections/{id}/capture"), &capture, 201);
    let redirect = ("post", "/api/v1/connections/{id}/redirect");
    let to = |id: u64| format!("/api/v1/connections/{id}/redirect?to=rtsp%3A%2F%2Fother%2Flive%2Fcam");
    contract.check(address, redirect, &to(id), 409);
    contract.check(address, redirect, &to(999), 404);
    let list = get("/api/v1/recordings", "/api/v1/recordings");
    assert_eq!(list["total"], 1);
    assert_eq!(get("/api/v1/files", "/api/v1/files")["total"], 1);
    for path in ["live/cam", "live/none", "live/lost", "live/demo"] {
        get("/{path}.json", &format!("/{path}.json"));
    }
    contract.check(address, ("get", "/{path}.json"), "/.json", 400);
    assert_eq!(*contract.1.borrow(), contract.calls(), "each call once");
    for ending in ["flv", "m3u", "sdp"] {
        let path = format!("/{{path}}.{ending}");
        contract.check(address, ("get", &path), &format!("/live/none.{ending}"), 404);
    }
    let _ = fs::remove_dir_all(folder);
}

#[test]
fn the_checker_finds_what_is_wrong() {
    let contract = Contract::read();
    let faults = |value: &str| {
        let schema = &contract.0["components"]["schemas"]["Capture"];
        contract.faults(schema, &serde_json::from_str(value).unwrap(), "it").len()
    };
    assert_eq!(faults(r#"{"name": "x", "bytes": 1}"#), 0);
    for wrong in [
        r#"{"name": "x"}"#,
        r#"{"name": 1, "bytes": 1}"#,
        r#"{"name": "x", "bytes": 1.5}"#,
        r#"{"name": "x", "bytes": 1, "more": 1}"#,
        "null",
        "[]",
    ] {
        assert!(faults(wrong) > 0, "{wrong}");
    }
}

/// Rows of the table of metrics: name and kind.
fn promised(contract: &Contract) -> Vec<(String, String)> {
    let text = contract.0["paths"]["/metrics"]["get"]["description"].as_str().unwrap();
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    let named = rows.flat_map(|row| {
        let mut cells = row.split('|').map(str::trim).skip(1);
        let (names, kind) = (cells.next().unwrap(), cells.next().unwrap());
        names
            .split(',')
            .map(|name| (name.trim().trim_matches('`').to_string(), kind.to_string()))
            .collect::<Vec<_>>()
    });
    named.collect()
}

#[test]
fn metrics_are_those_of_the_contract_and_bounded() {
    let contract = Contract::read();
    let (_server, address) = start(Config { demo: true, ..config() });
    let (_player, _) = Client::player(address, "nobody");
    let answer = ask(address, "GET /metrics");
    assert_eq!(answer.status, 200);
    assert!(answer.field("content-type").unwrap().starts_with("application/openmetrics-text"));
    assert!(answer.body.ends_with("# EOF\n") && answer.body.matches("# EOF").count() == 1);
    let mut kinds = std::collections::HashMap::new();
    let mut samples = Vec::new();
    for line in answer.body.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(kinds.insert(name, kind).is_none(), "{name} twice");
        } else if !line.starts_with('#') {
            let (series, value) = line.rsplit_once(' ').unwrap();
            assert!(value.parse::<f64>().is_ok_and(f64::is_finite), "{line}");
            assert!(!series.contains("{}"), "{line}");
            samples.push(series.split_once('{').map_or((series, ""), |(name, labels)| (name, labels)));
        }
    }
    for (name, kind) in promised(&contract) {
        let family = name.strip_suffix("_total").or(name.strip_suffix("_info")).unwrap_or(&name);
        assert!(samples.iter().any(|(sample, _)| *sample == name), "{name}");
        assert!(kinds[family] == kind, "{name}: {}", kinds[family]);
        samples.retain(|(sample, _)| *sample != name);
    }
    assert!(samples.is_empty(), "not in the contract: {samples:?}");
    assert!(answer.body.lines().count() < 150, "bounded");
    assert!(
        !answer.body.contains("demo")
            && !answer.body.contains("nobody")
            && !answer.body.contains("127.0.0.1")
    );
    assert!(answer.body.contains("weir_streams{state=\"waiting\"} 1\n"), "{}", answer.body);
    assert!(answer.body.contains("weir_players{protocol=\"rtmp\"} 1\n"), "{}", answer.body);
}
