//! What stale runs left, as it is listed: when it counts as stale, and that what took its name meanwhile is left alone.

use crate::scripted;
use crate::server::{Server, default_reply, ok, refused};
use crate::support::*;

/// The name of a container of sdbuild's.
const NAME: &str = "sdbuild-builder-0123456789ab";

/// Whether `clean` would remove a builder of another machine that ended `idle` seconds ago by the engine's clock and was
/// created at the moment `created`.
fn is_swept(idle: i64, created: &str) -> bool {
    let text = |seconds: i64| jiff::Timestamp::from_second(seconds).unwrap().to_string();
    let now = 1_800_000_000;
    let list = format!(
        r#"[{{"Id":"1","Names":["/{NAME}"],"State":"exited","Labels":{{"dev.sdbuild.run":"0123456789ab",
            "dev.sdbuild.role":"builder","dev.sdbuild.created":"{created}"}}}}]"#
    );
    let ended = format!(r#"{{"State":{{"Running":false,"FinishedAt":"{}"}}}}"#, text(now - idle));
    let info =
        format!(r#"{{"OSType":"linux","Architecture":"x86_64","SystemTime":"{}"}}"#, text(now));
    let server = Server::new(move |request| match request {
        "GET /info" => ok(info.clone()),
        list_of if list_of.starts_with("GET /containers/json") => ok(list.clone()),
        inspect if inspect.starts_with("GET /containers/") => ok(ended.clone()),
        images if images.starts_with("GET /images/") => ok("[]"),
        volumes if volumes.starts_with("GET /volumes") => ok("{}"),
        _ => default_reply(),
    });
    let user = TestUser::new().with("DOCKER_HOST", server.endpoint.to_string());
    let cache = user.state.path().join("cache").display().to_string();
    let user = user.with("XDG_CACHE_HOME", cache);
    let listed = run(&mut user.sdbuild(&["clean", "--dry-run"])).assert_exit_code(0);
    listed.stdout.contains(NAME)
}

/// The engine's clock alone once decided: ahead by two hours, or set by months after a start without a battery, it had a
/// live run's builder removed while its image was copied.
#[test]
fn no_single_clock_decides_that_an_object_is_stale() {
    let now = jiff::Timestamp::now().as_second();
    let (hour, day) = (3600, 24 * 3600);
    let elsewhere = |age: i64| format!("another-boot 5 {}", now - age);
    assert!(is_swept(2 * day, &elsewhere(2 * day)));
    assert!(!is_swept(5 * hour, &elsewhere(2 * day)), "it copies for hours");
    assert!(!is_swept(90 * day, &elsewhere(hour)), "the engine's clock was set");
    assert!(!is_swept(90 * day, &elsewhere(-hour)), "this one's is behind");
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let uptime = std::fs::read_to_string("/proc/uptime").unwrap();
    let here = |unix| format!("{} {} {unix}", boot.trim(), uptime.split_once('.').unwrap().0);
    assert!(!is_swept(90 * day, &here(now - 90 * day)), "one clock of both");
}

/// Of a run that removed its collector and created the next one, which has the same name, another run once killed the second
/// one: it had listed the first one when that had just ended.
#[test]
fn a_container_that_took_the_name_of_a_stale_one_is_left_alone() {
    let name = "sdbuild-collector-0123456789ab";
    let server = Server::new(move |request| match request {
        list if list.starts_with("GET /containers/json") => ok(format!(
            r#"[{{"Id":"first","Names":["/{name}"],"State":"exited","Labels":{{"dev.sdbuild.run":"0123456789ab",
                "dev.sdbuild.role":"collector"}}}}]"#
        )),
        "GET /info" => {
            ok(r#"{"OSType":"linux","Architecture":"x86_64","SystemTime":"2026-01-01T00:02:00Z"}"#)
        }
        inspect if inspect.starts_with("GET /containers/first/") => {
            ok(r#"{"State":{"Running":false,"FinishedAt":"2026-01-01T00:00:00Z"}}"#)
        }
        inspect if inspect.starts_with("GET /containers/") => ok(
            r#"{"Id":"second","Config":{"Labels":{"dev.sdbuild.run":"0123456789ab","dev.sdbuild.role":"collector"}},
                "State":{"Running":true}}"#,
        ),
        delete if delete.starts_with("DELETE /containers/first") => {
            refused(404, "no such container: first")
        }
        list if list.starts_with("GET /images/") => ok("[]"),
        volumes if volumes.starts_with("GET /volumes") => ok("{}"),
        _ => default_reply(),
    });
    let user = TestUser::new().with("DOCKER_HOST", server.endpoint.to_string());
    let cache = user.state.path().join("cache").display().to_string();
    let user = user.with("XDG_CACHE_HOME", cache);
    run(&mut user.sdbuild(&["clean", "--yes"])).assert_exit_code(0);
    let requests = server.requests();
    let changing = requests.iter().filter(|r| !r.starts_with("GET"));
    let changing: Vec<&str> = changing.filter_map(|r| r.split('?').next()).collect();
    assert_eq!(changing, ["DELETE /containers/first"], "{requests:?}");
}

/// The same of one that is still running.
#[tokio::test]
async fn a_running_container_is_stopped_and_removed_by_its_id() {
    let (engine, server) = scripted::engine(|request| match request {
        list if list.starts_with("GET /containers/json") => {
            ok(r#"[{"Id":"first","Names":["/sdbuild-builder-0123456789ab"],"State":"running",
                "Labels":{"dev.sdbuild.run":"0123456789ab","dev.sdbuild.role":"builder"}}]"#)
        }
        change if change.starts_with("POST") || change.starts_with("DELETE") => ok(""),
        _ => default_reply(),
    })
    .await;
    let listed = engine.our_containers().await.unwrap();
    let [container] = listed.as_slice() else {
        panic!("{listed:?}");
    };
    engine.stop_listed(container, 1).await.unwrap();
    engine.remove_listed(container).await.unwrap();
    let requests = server.requests();
    let changing = requests.iter().filter(|r| !r.starts_with("GET"));
    let changing: Vec<&str> = changing.filter_map(|r| r.split('?').next()).collect();
    let expected = ["POST /containers/first/stop", "DELETE /containers/first"];
    assert_eq!(changing, expected, "{requests:?}");
}
