#include "cluster/rebalancer.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "cluster/drive_register.h"
#include "cluster/limits.h"
#include "cluster/placement.h"
#include "cluster/rebalance.h"
#include "runtime/fan_out.h"

namespace ostraka::cluster {
namespace {

std::uint64_t revision_of(const control::ControlStore& control, std::string_view document) {
  const control::DocumentPtr now = control.get(document);
  return now ? now->revision : 0;
}

Task<Result<disk::DriveInfo>> ask(disk::Drive* drive, Ctx ctx) {
  auto asking = drive->info(ctx);
  Result<disk::DriveInfo> info = co_await std::move(asking);
  co_return info;
}

std::int64_t as_gauge(std::uint64_t n) {
  return static_cast<std::int64_t>(std::min<std::uint64_t>(n, INT64_MAX));
}

}  // namespace

std::string_view to_string(RebalanceState state) noexcept {
  switch (state) {
    case RebalanceState::unknown:
      return "unknown";
    case RebalanceState::balanced:
      return "balanced";
    case RebalanceState::moving:
      return "moving";
    case RebalanceState::waiting:
      return "waiting";
    case RebalanceState::paused:
      return "paused";
  }
  return "";
}

Rebalancer::Metrics::Metrics(MetricRegistry& registry)
    : slots_done(
          registry.gauge("ostraka_rebalance_slots_done",
                         "Slots of groups moved since the first of those that move now was decided; told by "
                         "the node that leads.")),
      slots_left(registry.gauge("ostraka_rebalance_slots_left", "Slots of groups that are to be moved.")),
      bytes_done(registry.gauge("ostraka_rebalance_bytes_done", "Bytes moved, estimated.")),
      bytes_left(registry.gauge("ostraka_rebalance_bytes_left", "Bytes that are to be moved, estimated.")),
      bytes_per_second(registry.gauge("ostraka_rebalance_bytes_per_second", "Bytes copied a second.")),
      problem(registry.gauge("ostraka_rebalance_problem", "1 while something stands in the way of moves.")) {}

Rebalancer::Rebalancer(RebalancerDeps deps)
    : deps_(std::move(deps)),
      runner_(deps_.moves, deps_.find, [this](const DriveId& id) { return url_of(id); }),
      metrics_(deps_.metrics) {
  deps_.moves.wait_until_known = [this](Ctx& ctx, std::uint64_t revision) {
    return deps_.membership.wait_until_known(ctx, revision);
  };
}

Rebalancer::~Rebalancer() = default;

void Rebalancer::start(Shard& shard) {
  shard_ = &shard;
  deps_.election.stand(std::string(kRebalanceMatter));
  gate_.spawn(shard.executor(), loop(this));
}

Task<> Rebalancer::close() {
  stopping_.store(true);
  if (shard_ != nullptr) gate_.spawn(shard_->executor(), wake(this));
  return gate_.close();
}

Task<> Rebalancer::wake(Rebalancer* self) {
  self->wake_.set();
  co_return;
}

Task<> Rebalancer::loop(Rebalancer* self) {
  Clock& clock = self->deps_.moves.clock;
  while (!self->stopping_.load()) {
    if (self->deps_.moves.keep_pace) {
      auto nothing = self->deps_.moves.keep_pace(0);
      co_await std::move(nothing);
    }
    const auto lead = self->deps_.election.leading(kRebalanceMatter);
    Duration period = kRebalancePeriod;
    if (lead) {
      auto working = self->round(lead->token);
      co_await std::move(working);
    } else {
      self->under_way_ = false;
      self->planned_on_.reset();
      self->tell(RebalanceState::unknown, {}, 0);
      if (self->look_after_leader()) period = kLeaderLook;
    }
    self->tell_metrics();
    const TimePoint next = clock.now() + period;
    co_await self->wake_.wait_until(clock, next);
    if (!self->stopping_.load()) self->wake_.reset();
  }
}

// While another node leads and there are moves. False: there are none.
bool Rebalancer::look_after_leader() {
  const auto moves = runner_.document();
  if (!moves || moves->moves.empty()) return false;
  const std::uint64_t token = deps_.election.token(kRebalanceMatter);
  const std::string leader = this->leader();
  const auto topology = this->topology();
  if (token == 0 || !topology) return true;
  bool known = false, away = true;
  for (const Topology::Slot& slot : topology->slots) {
    if (slot.state == SlotState::removed || slot.url.node != leader) continue;
    const disk::Drive* const drive = deps_.find(slot.id);
    known = true;
    away = away && (drive == nullptr || !drive->online());
  }
  const TimePoint now = deps_.moves.clock.now();
  if (!known || !away) {
    away_token_ = 0;
  } else if (away_token_ != token) {
    away_token_ = token;
    away_since_ = now;
  } else if (now - away_since_ >= kLeaderAway) {
    const auto [before, first] = deposed_.try_emplace(leader, now);
    if (!first && now - before->second < kLeaderTrust) return true;
    before->second = now;
    log::warn("{} leads in moving data and does not answer: another node is to lead", leader);
    deps_.election.depose(std::string(kRebalanceMatter), token);
  }
  return true;
}

Task<> Rebalancer::round(std::uint64_t token) {
  const auto known = known_topology();
  const auto moves = runner_.document();
  if (!known || !moves) {
    const Error& error = known ? moves.error() : known.error();
    tell(RebalanceState::waiting, error.detail, 0);
    co_return;
  }
  const TimePoint now = deps_.moves.clock.now();
  const Ground here = ground(*known);
  if (failed_on_ && *failed_on_ == here && now < retry_at_) co_return;
  Ctx ctx{*shard_, now + kRebalanceTry, "rebalance"};
  Result<> done;
  if (!moves->moves.empty()) {
    done = co_await go_on(ctx, token, *known);
  } else if (moves->paused) {
    tell(RebalanceState::paused, {}, known->revision);
  } else if (planned_on_ && *planned_on_ == here && now < look_again_at_) {
    co_return;
  } else {
    done = co_await plan(ctx, *known);
  }
  if (done) {
    failed_on_.reset();
    backoff_ = {};
    co_return;
  }
  tell(RebalanceState::waiting, done.error().detail, known->revision);
  backoff_ = std::clamp<Duration>(backoff_ * 2, kRebalanceBackoffMin, kRebalanceBackoffMax);
  if (runner_.left_sealed()) backoff_ = kRebalancePeriod;
  retry_at_ = deps_.moves.clock.now() + backoff_;
  failed_on_ = ground(*known);
}

// Carries out what is decided. Whatever changes the topology may change what is wanted, so it ends then.
Task<Result<>> Rebalancer::go_on(Ctx& ctx, std::uint64_t token, const KnownTopology& known) {
  const auto takes = [&topology = known.topology](const DriveId& id) {
    return std::any_of(topology.slots.begin(), topology.slots.end(), [&](const Topology::Slot& slot) {
      return slot.id == id && slot.state == SlotState::in_service;
    });
  };
  std::function<bool(const MoveSpec&)> unwanted = [&takes](const MoveSpec& spec) { return !takes(spec.to); };
  auto cancelling = runner_.cancel(ctx, std::move(unwanted));
  CO_TRY_VOID(co_await std::move(cancelling));
  CO_TRY(before, runner_.document());
  note_begin("moving");
  tell(before.paused ? RebalanceState::paused : RebalanceState::moving, {}, known.revision);
  std::function<bool()> stop = [this, token, revision = known.revision] {
    if (stopping_.load()) return true;
    const auto lead = deps_.election.leading(kRebalanceMatter);
    return !lead || lead->token != token || revision_of(deps_.moves.control, kTopologyDocument) != revision;
  };
  auto running = runner_.run(ctx, token, stop);
  const Result<bool> ended = co_await std::move(running);
  if (!ended && stop()) co_return Result<>();
  if (!ended) co_return fail(ended.code(), ended.error().detail);
  if (*ended) co_return Result<>();  // what is to be done now the next plan says
  CO_TRY(after, runner_.document());
  if (after.slots_done > before.slots_done || after.moves.size() < before.moves.size())
    co_return Result<>();  // it goes on
  if (after.paused) {
    tell(RebalanceState::paused, runner_.progress().problem, known.revision);
    co_return Result<>();
  }
  const std::string problem = runner_.progress().problem;
  co_return fail(Errc::unavailable, problem.empty() ? "no move could be carried out" : problem);
}

Task<std::vector<Rebalancer::Look>> Rebalancer::look_at(Ctx& ctx, const Topology& topology) {
  const std::size_t slots = topology.slots.size();
  auto fan = std::make_shared<FanOut<Result<disk::DriveInfo>>>(slots);
  Clock& clock = deps_.moves.clock;
  Ctx each{ctx.shard, std::min(ctx.deadline, clock.now() + kRebalanceLook), ctx.request_id};
  std::vector<Look> out(slots);
  for (std::size_t i = 0; i < slots; ++i) {
    disk::Drive* const drive =
        topology.slots[i].state == SlotState::removed ? nullptr : deps_.find(topology.slots[i].id);
    if (drive == nullptr) continue;
    out[i].online = drive->online();
    fan->start(ctx.shard.executor(), gate_, i, ask(drive, each));
  }
  co_await fan->wait_all(clock, each.deadline);
  for (std::size_t i = 0; i < slots; ++i) {
    const auto& answer = fan->answers()[i];
    if (answer && *answer)
      out[i].info = **answer;
    else
      out[i].online = false;
  }
  co_return out;
}

Task<Result<>> Rebalancer::plan(Ctx& ctx, const KnownTopology& known) {
  const Topology& topology = known.topology;
  auto looking = look_at(ctx, topology);
  const std::vector<Look> looks = co_await std::move(looking);
  const Ground here = ground(known);
  CO_TRY(table, placement());
  std::vector<RebalanceDrive> drives;
  std::vector<DriveId> draining;
  std::string away;
  for (std::size_t i = 0; i < topology.slots.size(); ++i) {
    const Topology::Slot& slot = topology.slots[i];
    if (slot.state == SlotState::removed) continue;
    RebalanceDrive& drive = drives.emplace_back();
    drive.drive = {slot.id, slot.url.node, looks[i].info.total_bytes};
    drive.in_service = looks[i].online && !looks[i].info.refilling;
    drive.draining = slot.state == SlotState::draining;
    if (drive.draining) draining.push_back(slot.id);
    if (!drive.in_service && away.empty()) away = why_away(i, slot, looks[i].online);
  }
  deps_.moves.data_shards = topology.data_shards;
  CO_TRY(planned, plan_rebalance(table, drives, topology.parity_shards));
  const std::size_t wanted = planned.moves.size();
  // How large a drive is that is away nobody can say, and so not what the shares of the others are.
  if (!away.empty()) {
    std::erase_if(planned.moves, [&](const SlotMove& move) {
      return std::find(draining.begin(), draining.end(), move.from) == draining.end();
    });
  }
  if (!planned.moves.empty()) {
    const bool outdated = revision_of(deps_.moves.control, kTopologyDocument) != known.revision;
    if (outdated || ground(known) != here) co_return Result<>();  // look again
    auto adding = runner_.add(ctx, std::move(planned.moves), under_way_);
    CO_TRY(added, co_await std::move(adding));
    if (added > 0) {
      note_begin("begins");
      tell(RebalanceState::moving, {}, known.revision);
      wake_.set();
    }
    co_return Result<>();
  }
  planned_on_ = here;
  look_again_at_ = deps_.moves.clock.now() + kRebalanceBackoffMax;
  note_end();
  if (planned.stuck > 0) {
    tell(RebalanceState::waiting,
         fmt::format("{} shards of groups can be moved nowhere: {}", planned.stuck,
                     away.empty() ? "there are too few other drives or nodes" : away),
         known.revision);
  } else if (wanted > 0) {
    tell(RebalanceState::waiting, "what the drives hold is not evened out yet: " + away, known.revision);
  } else {
    tell(RebalanceState::balanced, {}, known.revision);
  }
  co_return Result<>();
}

// A drive is registered before it serves anybody.
std::string Rebalancer::why_away(std::size_t slot, const Topology::Slot& what, bool online) const {
  const std::string url = to_string(what.url);
  if (online) return url + " is being refilled";
  const control::DocumentPtr document = deps_.moves.control.get(kDriveRegister);
  const auto known =
      document ? decode_drive_register(document->content) : Result<DriveRegister>(fail(Errc::not_found));
  if (!known || (slot < known->size() && (*known)[slot])) return url + " does not answer";
  return fmt::format("{} was added and is not in use yet: start {} with it in its list of drives", url,
                     what.url.node);
}

Result<Rebalancer::KnownTopology> Rebalancer::known_topology() const {
  const control::DocumentPtr document = deps_.moves.control.get(kTopologyDocument);
  if (!document) return fail(Errc::unavailable, "there is no topology");
  TRY(topology, decode_topology(document->content));
  return KnownTopology{std::move(topology), document->revision};
}

Result<Topology> Rebalancer::topology() const {
  TRY(known, known_topology());
  return std::move(known.topology);
}

Result<Placement> Rebalancer::placement() const {
  const control::DocumentPtr document = deps_.moves.control.get(deps_.moves.placement_document);
  if (!document) return fail(Errc::unavailable, "there is no placement table");
  return Placement::from_json(deps_.moves.deployment, document->content);
}

Rebalancer::Ground Rebalancer::ground(const KnownTopology& known) const {
  Ground out;
  out.topology = known.revision;
  out.placement = revision_of(deps_.moves.control, deps_.moves.placement_document);
  out.moves = revision_of(deps_.moves.control, kMovesDocument);
  for (const Topology::Slot& slot : known.topology.slots) {
    const disk::Drive* const drive = slot.state == SlotState::removed ? nullptr : deps_.find(slot.id);
    out.online.push_back(drive != nullptr && drive->online());
  }
  return out;
}

std::string Rebalancer::url_of(const DriveId& id) const {
  if (const auto topology = this->topology())
    for (const Topology::Slot& slot : topology->slots)
      if (slot.id == id) return to_string(slot.url);
  return to_string(id);
}

void Rebalancer::tell(RebalanceState state, std::string problem, std::uint64_t topology) {
  const std::lock_guard lock(mutex_);
  if (!problem.empty() && problem != problem_) log::warn("rebalance: {}", problem);
  state_ = state;
  about_ = topology;
  problem_ = std::move(problem);
}

RebalanceStatus Rebalancer::status() const {
  RebalanceStatus out;
  out.progress = runner_.progress();
  out.newest_topology = revision_of(deps_.moves.control, kTopologyDocument);
  const std::lock_guard lock(mutex_);
  out.state = state_;
  out.topology = about_;
  if (!problem_.empty()) out.progress.problem = problem_;
  return out;
}

void Rebalancer::tell_metrics() {
  const RebalanceStatus now = status();
  const bool leads = now.state != RebalanceState::unknown;
  metrics_.slots_done.set(leads ? as_gauge(now.progress.slots_done) : 0);
  metrics_.slots_left.set(leads ? as_gauge(now.progress.slots_left) : 0);
  metrics_.bytes_done.set(leads ? as_gauge(now.progress.bytes_done) : 0);
  metrics_.bytes_left.set(leads ? as_gauge(now.progress.bytes_left) : 0);
  metrics_.bytes_per_second.set(
      now.state == RebalanceState::moving ? static_cast<std::int64_t>(now.progress.bytes_per_second) : 0);
  metrics_.problem.set(leads && !now.progress.problem.empty() ? 1 : 0);
}

void Rebalancer::note_begin(const char* what) {
  if (under_way_) return;
  under_way_ = true;
  began_ = deps_.moves.clock.now();
  const MoveProgress now = runner_.progress();
  log::info("rebalance {} slots={} bytes={} slots_done={}", what, now.slots_left, now.bytes_left,
            now.slots_done);
}

void Rebalancer::note_end() {
  if (!under_way_) return;
  under_way_ = false;
  const MoveProgress now = runner_.progress();
  const std::chrono::duration<double> took = deps_.moves.clock.now() - began_;
  log::info("rebalance ended slots={} bytes={} seconds={:.1f}", now.slots_done, now.bytes_done, took.count());
}

}  // namespace ostraka::cluster
