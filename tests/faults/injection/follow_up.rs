//! What comes after the end of a run: what must hold at once, `clean`, and the next build.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use sdbuild_engine::binfmt::HandlerName;

use super::fault_kinds::{Fault, HANG_LIMIT};
use super::fixture::Fixture;
use super::invariants;
use super::live_run::{End, LiveRun, StreamTarget};
use super::private;
use super::run::Run;
use crate::store_in_use::StoreInUse;
use crate::support::*;

impl Run<'_> {
    pub fn after_the_fault(&mut self, fixture: &mut Fixture) {
        let found = invariants::after_the_fault(self);
        self.violations.extend(found);
        if self.setup.kind.fault.needs_own_engine() {
            let lasting = self.setup.kind.fault == Fault::LastingEngine;
            fixture.engine(lasting).ensure_up();
        }
        if self.setup.kind.fault == (Fault::DoubleKill { clean: true }) {
            self.clean();
        }
    }

    /// Runs `clean`, which must list exactly what the campaign's runs left and remove all of it. No other run may be under
    /// way.
    fn clean(&mut self) {
        let _store = StoreInUse::hold();
        let left = invariants::objects_of(&self.ids);
        let existing = self.objects_of_campaign();
        let dry = run(&mut self.setup.user.sdbuild(&["clean", "--dry-run"]));
        self.note("clean --dry-run", &format!("{}{}", dry.stdout, dry.stderr));
        let listed = &invariants::listed(&dry.stdout) - &self.campaign.left_before;
        if listed != existing {
            self.violation(&format!("clean --dry-run lists {listed:?}, not {existing:?}"));
        }
        if !left.iter().all(|name| dry.stdout.contains(name)) {
            self.violation(&format!("clean --dry-run does not list all of {left:?}"));
        }
        if existing != self.objects_of_campaign() {
            self.violation("clean --dry-run changed something");
        }
        let clean = run(&mut self.setup.user.sdbuild(&["clean", "--yes"]));
        self.note("clean", &format!("{}{}", clean.stdout, clean.stderr));
        if clean.code != Some(0) {
            self.violation(&format!("clean ended with {:?}", clean.code));
        }
        let left = self.objects_of_campaign();
        if !left.is_empty() {
            self.violation(&format!("clean left {left:?}"));
        }
    }

    fn objects_of_campaign(&self) -> BTreeSet<String> {
        &invariants::all_objects() - &self.campaign.left_before
    }

    pub fn follow_up(&mut self, fixture: &mut Fixture) {
        self.setup.repair(fixture);
        let user = &self.setup.user;
        let stale = invariants::objects_of(&self.ids);
        // Without an image, what a killed run left must not be in the way.
        let force = user.out().join(self.setup.image).exists();
        let mut next = LiveRun::start(
            &mut user.build(&self.setup.arguments(force)),
            user.state.path(),
            [StreamTarget::Harness; 2],
        );
        let end = next.wait(HANG_LIMIT).map(|(end, _)| end);
        let stderr = next.stderr();
        self.note("the next build", &stderr);
        self.ids.extend(next.runs());
        if end != Some(End::Code(0)) {
            self.violation(&format!("the next build: {end:?}"));
        }
        for name in stale.iter().filter(|name| HandlerName::parse(name).is_some()) {
            if !stderr.contains(name.as_str()) {
                self.violation(&format!("the next build does not report that it swept {name}"));
            }
        }
        let found = invariants::after_the_next_build(self, fixture, end == Some(End::Code(0)));
        self.violations.extend(found);
        if self.setup.is_private() {
            let registrars = &self.campaign.registrars;
            for live in [&self.live, &next] {
                self.violations.extend(private::violations(live, registrars));
            }
        }
        self.tidy();
    }

    /// Removes what the harness itself made.
    fn tidy(&mut self) {
        self.unregister_foreign_handler();
        // The user of a killed companion starts no other build that would sweep.
        for name in invariants::objects_of(&self.ids) {
            run(Command::new("docker").args(["rm", "--force", "--volumes", &name]));
        }
        if let Some((name, image)) = self.foreign_container.take() {
            run(Command::new("docker").args(["rm", &name]));
            run(Command::new("docker").args(["rmi", &image]));
        }
    }

    /// Removes the foreign handler, as its owner would.
    pub fn unregister_foreign_handler(&mut self) {
        if let Some(name) = self.foreign_handler.take()
            && fs::write(format!("{BINFMT}/{name}"), "-1").is_err()
        {
            self.violation(&format!("the foreign handler {name} was gone"));
        }
    }
}
