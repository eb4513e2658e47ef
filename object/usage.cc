#include "object/usage.h"

#include <algorithm>
#include <map>
#include <optional>
#include <tuple>

#include "object/limits.h"
#include "runtime/fan_out.h"
#include "runtime/shard.h"

namespace ostraka::object {
namespace {

constexpr Duration kDriveCall = std::chrono::seconds(2);
constexpr const char* kOthers = "_others";  // no bucket can have this name

const disk::BucketUsage* find_in(const DriveUsage& drive, BucketId bucket) {
  const auto found =
      std::lower_bound(drive.buckets.begin(), drive.buckets.end(), bucket,
                       [](const disk::BucketUsage& usage, BucketId id) { return usage.bucket < id; });
  return found == drive.buckets.end() || found->bucket != bucket ? nullptr : &*found;
}

disk::BucketUsage usage_on(const DriveUsage& drive, BucketId bucket) {
  if (const disk::BucketUsage* found = find_in(drive, bucket)) return *found;
  disk::BucketUsage none;
  none.bucket = bucket;
  return none;
}

std::uint64_t positive(std::int64_t number) {
  return number > 0 ? static_cast<std::uint64_t>(number) : 0;
}

// All drives have all keys: what most of them say.
BucketTotals majority(const std::vector<const DriveUsage*>& full, BucketId bucket) {
  using Numbers = std::tuple<std::int64_t, std::int64_t, std::int64_t, std::int64_t>;
  struct Votes {
    std::size_t drives = 0;
    std::uint64_t changes = 0;  // the greatest of those that say so
  };
  std::map<Numbers, Votes> said;
  for (const DriveUsage* drive : full) {
    const disk::BucketUsage usage = usage_on(*drive, bucket);
    Votes& votes = said[{usage.objects, usage.object_bytes, usage.uploads, usage.part_bytes}];
    ++votes.drives;
    votes.changes = std::max(votes.changes, usage.changes);
  }
  BucketTotals out;
  out.bucket = bucket;
  Votes best;
  for (const auto& [numbers, votes] : said) {
    if (std::tie(votes.drives, votes.changes) <= std::tie(best.drives, best.changes)) continue;
    best = votes;
    out.objects = positive(std::get<0>(numbers));
    out.object_bytes = positive(std::get<1>(numbers));
    out.uploads = positive(std::get<2>(numbers));
    out.part_bytes = positive(std::get<3>(numbers));
  }
  out.exact = best.drives == full.size();
  return out;
}

// Each drive has its share: n drives have each key. present: one for each drive that answered or is
// remembered.
BucketTotals shared_out(const std::vector<const DriveUsage*>& present, std::size_t drives,
                        unsigned set_drives, BucketId bucket) {
  std::int64_t sums[4] = {};
  for (const DriveUsage* drive : present) {
    const disk::BucketUsage usage = usage_on(*drive, bucket);
    sums[0] += usage.objects;
    sums[1] += usage.object_bytes;
    sums[2] += usage.uploads;
    sums[3] += usage.part_bytes;
  }
  BucketTotals out;
  out.bucket = bucket;
  out.exact = true;
  std::uint64_t totals[4] = {};
  for (int i = 0; i < 4; ++i) {
    out.exact = out.exact && positive(sums[i]) % set_drives == 0;
    // What drives that nobody knows anything of would have added, and rounded.
    const double whole = static_cast<double>(positive(sums[i])) * static_cast<double>(drives) /
                         static_cast<double>(present.size());
    totals[i] = present.size() == drives ? (positive(sums[i]) + set_drives / 2) / set_drives
                                         : static_cast<std::uint64_t>(whole / set_drives + 0.5);
  }
  out.objects = totals[0];
  out.object_bytes = totals[1];
  out.uploads = totals[2];
  out.part_bytes = totals[3];
  return out;
}

Task<Result<DriveUsage>> ask_drive(disk::Drive* drive, Ctx ctx) {
  DriveUsage out;
  CO_TRY(groups, co_await drive->groups(ctx));
  out.full = std::none_of(groups.begin(), groups.end(),
                          [](const disk::GroupState& group) { return group.refilling; });
  CO_TRY(buckets, co_await drive->usage(ctx));
  out.buckets = std::move(buckets);
  std::sort(out.buckets.begin(), out.buckets.end(),
            [](const disk::BucketUsage& a, const disk::BucketUsage& b) { return a.bucket < b.bucket; });
  co_return out;
}

}  // namespace

const BucketTotals* UsageSnapshot::find(BucketId bucket) const noexcept {
  const auto found =
      std::lower_bound(buckets.begin(), buckets.end(), bucket,
                       [](const BucketTotals& totals, BucketId id) { return totals.bucket < id; });
  return found == buckets.end() || found->bucket != bucket ? nullptr : &*found;
}

std::vector<BucketTotals> combine_usage(const std::vector<const DriveUsage*>& answers,
                                        const std::vector<const DriveUsage*>& remembered,
                                        unsigned set_drives) {
  std::vector<const DriveUsage*> full, present;
  for (std::size_t i = 0; i < answers.size(); ++i) {
    const bool answered = answers[i] != nullptr && answers[i]->full;
    if (answered) full.push_back(answers[i]);
    const DriveUsage* standing_in = answered ? answers[i] : remembered[i];
    if (standing_in != nullptr) present.push_back(standing_in);
  }
  const bool one_set = answers.size() <= set_drives;
  const bool all_full = full.size() == answers.size();
  // None is full: what the others know is better than nothing.
  if (one_set && full.empty()) full = present;
  if (full.empty() && present.empty())
    for (const DriveUsage* answer : answers)
      if (answer != nullptr) full.push_back(answer), present.push_back(answer);
  std::set<BucketId> buckets;
  for (const DriveUsage* drive : one_set ? full : present)
    for (const disk::BucketUsage& usage : drive->buckets) buckets.insert(usage.bucket);
  std::vector<BucketTotals> out;
  for (const BucketId bucket : buckets) {
    BucketTotals totals =
        one_set ? majority(full, bucket) : shared_out(present, answers.size(), set_drives, bucket);
    totals.exact = totals.exact && all_full;
    if (totals.objects + totals.object_bytes + totals.uploads + totals.part_bytes > 0) out.push_back(totals);
  }
  return out;
}

Usage::Usage(UsageDeps deps) : deps_(std::move(deps)) {}

Task<UsagePtr> Usage::get(Ctx& ctx, Duration max_age) {
  {
    const std::lock_guard lock(mutex_);
    if (last_ && max_age > Duration::zero() && deps_.clock.now() - asked_ <= max_age) co_return last_;
  }
  co_return co_await ask(ctx);
}

Task<UsagePtr> Usage::ask(Ctx& ctx) {
  const TimePoint asked = deps_.clock.now();
  const bool moved_before = deps_.moving && deps_.moving();
  const std::vector<disk::Drive*> drives = deps_.drives->all();
  auto fan = std::make_shared<FanOut<Result<DriveUsage>>>(drives.size());
  Ctx call{ctx.shard, std::min(ctx.deadline, asked + kDriveCall), ctx.request_id};
  for (std::size_t i = 0; i < drives.size(); ++i)
    if (drives[i]->online())
      fan->start(ctx.shard.executor(), deps_.background, i, ask_drive(drives[i], call));
  co_await fan->wait_all(deps_.clock, call.deadline);
  std::vector<std::shared_ptr<const DriveUsage>> answers(drives.size());
  for (std::size_t i = 0; i < answers.size(); ++i) {
    auto& answer = fan->answers()[i];
    if (answer && answer->has_value()) answers[i] = std::make_shared<const DriveUsage>(std::move(**answer));
  }
  auto snapshot = std::make_shared<UsageSnapshot>();
  snapshot->at_ms = deps_.clock.unix_ms();
  const std::lock_guard lock(mutex_);
  if (remembered_.size() < answers.size()) remembered_.resize(answers.size());
  std::vector<const DriveUsage*> now, before;
  for (std::size_t i = 0; i < answers.size(); ++i) {
    if (deps_.drives->removed(i)) continue;
    now.push_back(answers[i].get());
    before.push_back(remembered_[i].get());
  }
  snapshot->buckets = combine_usage(now, before, deps_.set_drives);
  if (moved_before || (deps_.moving && deps_.moving()))
    for (BucketTotals& bucket : snapshot->buckets) bucket.exact = false;
  for (std::size_t i = 0; i < answers.size(); ++i)
    if (answers[i] && answers[i]->full) remembered_[i] = answers[i];
  if (!last_ || asked >= asked_) {
    last_ = snapshot;
    asked_ = asked;
    publish(*snapshot);
  }
  co_return snapshot;
}

// With the lock held. The first kMeteredBuckets names that are met keep gauges of their own.
void Usage::publish(const UsageSnapshot& snapshot) {
  std::map<std::string, std::pair<std::uint64_t, std::uint64_t>> by_name;
  for (const std::string& name : metered_) by_name[name] = {};
  for (const BucketInfo& bucket : deps_.buckets.list()) {
    std::string name = bucket.name.get();
    if (!metered_.contains(name)) {
      if (metered_.size() < kMeteredBuckets)
        metered_.insert(name);
      else
        name = kOthers;
    }
    auto& [objects, bytes] = by_name[name];
    const BucketTotals* totals = snapshot.find(bucket.id);
    if (totals == nullptr) continue;
    objects += totals->objects;
    bytes += totals->object_bytes;
  }
  for (const auto& [name, numbers] : by_name) {
    const Labels labels{{"bucket", name}};
    deps_.metrics.gauge(kBucketObjectsMetric, "Objects in the bucket", labels)
        .set(static_cast<std::int64_t>(numbers.first));
    deps_.metrics.gauge(kBucketBytesMetric, "Bytes of the bucket's objects, as clients see them", labels)
        .set(static_cast<std::int64_t>(numbers.second));
  }
}

}  // namespace ostraka::object
