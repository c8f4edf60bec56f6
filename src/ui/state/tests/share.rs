//! The share of a build that is done, as far as earlier builds tell.

use super::*;

/// One derivation of ten takes 40 s, as it did before.
#[test]
fn share_moves_during_a_derivation_whose_time_is_known() {
    let mut state = with_earlier_time();
    state.apply(&Event::Started(Phase::Build), SECOND);
    let will_build = NixEvent::WillBuild { derivations: 10 };
    let listed = (1..=10).map(|n| NixEvent::Message {
        level: 3,
        text: format!("  /nix/store/{}-p{n}.drv", "a".repeat(32)),
    });
    for event in [will_build].into_iter().chain(listed).chain([build(1)]) {
        state.apply(&Event::Nix(event), SECOND);
    }
    let percent_at = |state: &mut State, second: u32| {
        state.tick(SECOND * second);
        state.fraction().unwrap().percent()
    };
    assert_eq!(percent_at(&mut state, 1), 0);
    assert_eq!(percent_at(&mut state, 21), 5);
    // It takes longer this time: it moves on, more slowly, and never to its end.
    assert_eq!(percent_at(&mut state, 41), 9);
    let before = state.fraction().unwrap().share();
    assert_eq!(percent_at(&mut state, 80), 9);
    assert!(state.fraction().unwrap().share() > before);
    let built = NixEvent::Built {
        done: 1,
        expected: 10,
        running: 0,
    };
    state.apply(&Event::Nix(built), SECOND * 81);
    state.apply(&Event::Nix(NixEvent::Stopped { id: 1 }), SECOND * 81);
    assert_eq!(percent_at(&mut state, 82), 10);
}

/// It was built for 30 of 40 s when Nix was stopped, which builds it from its beginning.
#[test]
fn share_moves_on_when_nix_begins_anew() {
    let mut state = with_earlier_time();
    state.apply(&Event::Started(Phase::Build), Duration::ZERO);
    let will_build = NixEvent::WillBuild { derivations: 1 };
    let mut percent_after = |events: &[NixEvent], at| {
        for event in events {
            state.apply(&Event::Nix(event.clone()), SECOND * at);
        }
        state.tick(SECOND * (at + 10));
        state.fraction().unwrap().percent()
    };
    assert_eq!(percent_after(&[will_build.clone(), build(1)], 0), 25);
    assert_eq!(percent_after(&[], 20), 75);
    let anew = [NixEvent::Restarted, will_build, build(2)];
    assert_eq!(percent_after(&anew, 30), 81);
}
