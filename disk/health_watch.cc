#include "disk/health_watch.h"

#include "base/log.h"
#include "disk/write_probe.h"

namespace ostraka::disk {

HealthWatch::HealthWatch(DriveCore& core, Committer& committer, WorkersFactory& workers)
    : core_(core),
      committer_(committer),
      thread_(workers.make("health-" + std::to_string(core.expected.slot), 1)) {}

HealthWatch::~HealthWatch() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  thread_.reset();
}

void HealthWatch::start() {
  arrange_next();
}

void HealthWatch::arrange_next() {
  const std::lock_guard lock(mutex_);
  if (!stopping_) thread_->post_after(core_.health.policy().watch_period, [this] { tick(); });
}

void HealthWatch::tick() {
  const unsigned slot = core_.expected.slot;
  if (core_.quota) core_.quota->note(slot, !core_.online());
  const auto may_take_out = [&] { return !core_.quota || core_.quota->may_take_out(slot); };
  const DriveHealth::Change change = core_.health.look(core_.clock.now(), may_take_out);
  tell(change);
  if (change.from != change.to && change.to == DriveState::stalled) {
    core_.give_up_waiting();
    committer_.give_up_waiting();
  }
  core_.metrics.show(core_.state());
  core_.metrics.online.set(core_.online() ? 1 : 0);
  probe();
  arrange_next();
}

void HealthWatch::tell(const DriveHealth::Change& change) const {
  const unsigned slot = core_.expected.slot;
  if (change.spared) {
    log::error(
        "drive fails, and stays in service all the same, since writes would not reach enough drives without "
        "it "
        "drive={} slot={} reason=\"{}\" next=\"look at all drives at once: one cause may be behind it, such "
        "as a "
        "controller or a cable\"",
        core_.path, slot, change.reason);
  }
  if (change.from == change.to) return;
  switch (change.to) {
    case DriveState::failing:
      log::error(
          "DRIVE TAKEN OUT OF SERVICE drive={} slot={} reason=\"{}\" next=\"{}\"", core_.path, slot,
          change.reason,
          core_.health.may_open(kNoDeadline)
              ? "it is tried again by itself; look at the kernel's log and at its SMART data, and replace it "
                "when it does not stay in service"
              : "it failed again each time it came back: replace it. "
                "It is tried again only when you say so (ostraka admin drive trust), or after a restart");
      break;
    case DriveState::stalled:
      log::error(
          "drive put aside, since it does not answer drive={} slot={} reason=\"{}\" next=\"requests go on "
          "without it, and it is back as soon as it answers; if it does not, look at the kernel's log\"",
          core_.path, slot, change.reason);
      break;
    default:
      log::info("drive is back in service drive={} slot={} reason=\"{}\"", core_.path, slot, change.reason);
      break;
  }
}

void HealthWatch::probe() {
  if (!core_.health.wants_probe(core_.clock.now())) return;
  auto life = core_.open();
  if (!life || probing_->exchange(true)) return;
  core_.post([&core = core_, life = std::move(life), probing = probing_] {
    Result<> probed;
    Duration took{};
    {
      const LaneMark mark(core.health, Lane::probe, core.clock);
      const CallTimer timer(core.metrics.probe, core.clock);
      probed = probe_drive(core, *life);
      took = core.clock.now() - mark.begun();
    }
    std::optional<Errc> code;
    if (!probed) code = probed.code();
    if (code) core.note(*code);
    if (core.health.probed(took, code, core.clock.now()))
      log::warn("probe of a drive failed drive={} reason=\"{}\"", core.path, probed.error().detail);
    probing->store(false);
  });
}

}  // namespace ostraka::disk
