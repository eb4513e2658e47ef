// Buckets that are made, written to and deleted at several nodes at once. A deletion and a write that are
// both acknowledged contradict each other, whatever order they are given.
#include <fmt/format.h>

#include "tests/sim/scenario.h"

namespace ostraka::sim {

using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

constexpr unsigned kWriters = 3, kWrites = 4;
// The longest that the deletion of a bucket waits for a node that stands, and some more: its leases, what it
// may write without them, and the writes that it has begun.
constexpr Duration kStands = seconds(200);

}  // namespace

// 404, and nobody has deleted the bucket. A node that etcd does not reach serves what it knows: it may not
// have heard of the bucket yet, whose creation was answered nevertheless, after two seconds of waiting for
// all nodes (object/bucket_store.h).
void Scenario::check_unknown(const BucketLife& life, const S3Reply& reply, TimePoint begin,
                             const std::string& what) {
  const std::string& name = world_.node(reply.node).name;
  if (reply.code() != "NoSuchBucket")
    return world_.violation(fmt::format("{} was answered with 404 {}", what, reply.code()));
  if (life.known_by.contains(reply.node))
    return world_.violation(
        fmt::format("{}: {} knew the bucket, and says now that there is none", what, name));
  if (!may_be_deaf(reply.node, std::max(begin, life.begun)))
    return world_.violation(fmt::format("{}: {} does not know the bucket, and hears etcd", what, name));
  world_.probes.hit("cluster: a node that etcd does not reach does not know a new bucket");
}

// Makes one after the other; each has one life.
Task<> Scenario::bucket_client() {
  while (!ended_) {
    auto life = std::make_shared<BucketLife>();
    life->name = fmt::format("/churn{}", buckets_.size());
    life->begun = world_.clock.now();
    buckets_.push_back(life);
    S3Request request;
    request.method = "PUT";
    request.target = life->name;
    auto asking = ask("bucket", std::move(request));
    const S3Reply made = co_await std::move(asking);
    life->made = made.ok();
    for (unsigned i = 0; i < kWriters && life->made; ++i) {
      ++life->busy;
      ++working_;
      world_.tasks.spawn(world_.shard.executor(), write_to_bucket(life, i));
    }
    if (life->made) {
      ++life->busy;
      ++working_;
      world_.tasks.spawn(world_.shard.executor(), delete_bucket(life));
    }
    while (life->busy > 0) co_await sleep_for(world_.clock, milliseconds(50));
    const Duration pause = milliseconds(world_.random.below(3000));
    co_await sleep_for(world_.clock, pause);
  }
  --working_;
}

Task<> Scenario::write_to_bucket(std::shared_ptr<BucketLife> life, unsigned writer) {
  SimRandom& random = world_.random;
  for (unsigned i = 0; i < kWrites && !ended_; ++i) {
    const Duration pause = milliseconds(random.below(400));
    co_await sleep_for(world_.clock, pause);
    const std::string key = fmt::format("{}/w{}-{}", life->name, writer, i);
    S3Request request;
    request.method = "PUT";
    request.target = key;
    request.body = key;
    const TimePoint begin = world_.clock.now();
    auto asking = ask("churn", std::move(request));
    const S3Reply put = co_await std::move(asking);
    if (put.ok()) {
      life->keys[key] = BucketLife::Key::there;
      life->known_by.insert(put.node);
    } else if (put.status == 404) {
      if (!life->deletion_begun) check_unknown(*life, put, begin, "PUT " + key);
    } else if (put.status == 0 || put.status >= 500) {
      life->keys[key] = BucketLife::Key::unknown;
    } else {
      world_.violation(fmt::format("PUT {} was answered with {} {}", key, put.status, put.code()));
    }
    if (!put.ok() || random.chance(0.3)) continue;
    life->keys[key] = BucketLife::Key::unknown;
    request = S3Request{};
    request.method = "DELETE";
    request.target = key;
    auto erasing = ask("churn", std::move(request));
    const S3Reply erased = co_await std::move(erasing);
    if (erased.ok()) life->keys[key] = BucketLife::Key::gone;
    if (erased.status == 404) life->keys[key] = BucketLife::Key::there;  // the bucket is said to be gone
  }
  --life->busy;
  --working_;
}

Task<> Scenario::delete_bucket(std::shared_ptr<BucketLife> life) {
  SimRandom& random = world_.random;
  for (unsigned tries = 0; tries < 4 && !ended_; ++tries) {
    const Duration pause = milliseconds(random.below(1500));
    co_await sleep_for(world_.clock, pause);
    life->deletion_begun = true;
    S3Request request;
    request.method = "DELETE";
    request.target = life->name;
    const TimePoint begin = world_.clock.now();
    auto asking = ask("bucket", std::move(request));
    const S3Reply reply = co_await std::move(asking);
    if (reply.ok() || reply.status == 409) life->known_by.insert(reply.node);
    if (reply.ok()) {
      life->deleted = true;
      world_.probes.hit("cluster: a bucket is deleted");
      break;
    }
    if (reply.status == 404) {
      if (!life->in_doubt) check_unknown(*life, reply, begin, "DELETE " + life->name);
    } else if (reply.status == 409) {
      world_.probes.hit("cluster: a bucket that is written to is not deleted");
    } else if (reply.status == 0 || reply.status >= 500) {
      life->in_doubt = true;
      world_.probes.hit("cluster: the deletion of a bucket fails or is in doubt");
    } else {
      world_.violation(
          fmt::format("DELETE {} was answered with {} {}", life->name, reply.status, reply.code()));
    }
  }
  --life->busy;
  --working_;
}

// A node stands for so long that a bucket which it knows is deleted without it; then it goes on, mostly
// without etcd, and is asked to write there at once. All others are well.
Task<> Scenario::delete_behind_a_node() {
  SimRandom& random = world_.random;
  const std::vector<SimNode*> members = world_.members();
  const std::size_t one = random.below(members.size());
  const std::size_t other = (one + 1 + random.below(members.size() - 1)) % members.size();
  SimNode& stands = *members[one];
  auto life = std::make_shared<BucketLife>();
  life->name = fmt::format("/behind{}", buckets_behind_++);
  life->begun = world_.clock.now();
  asked_ = stands.index;
  S3Request making;
  making.method = "PUT";
  making.target = life->name;
  auto asking_for_it = ask("bucket", std::move(making));
  const S3Reply made = co_await std::move(asking_for_it);
  life->made = made.ok();
  buckets_.push_back(life);
  if (life->made) {
    life->known_by.insert(stands.index);
    // What etcd has sent it would be the first that it hears.
    const std::vector<std::string> all = hosts();
    const bool alone = random.chance(0.8);
    for (std::size_t i = members.size(); i < all.size() && alone; ++i) {
      world_.net.link(stands.name, all[i]).cut = true;
      world_.net.link(all[i], stands.name).cut = true;
    }
    world_.pause(stands.index, 2 * kStands);
    asked_ = members[other]->index;
    const TimePoint limit = world_.clock.now() + kStands;
    while (!life->deleted && world_.clock.now() < limit) {
      co_await sleep_for(world_.clock, seconds(2));
      S3Request request;
      request.method = "DELETE";
      request.target = life->name;
      auto asking = ask("bucket", std::move(request));
      const S3Reply reply = co_await std::move(asking);
      life->deleted = reply.ok();
      if (!reply.ok()) life->in_doubt = true;
    }
    if (life->deleted) world_.probes.hit("cluster: a bucket is deleted while a node that knows it stands");
    world_.go_on(stands.index);
    asked_ = stands.index;
    for (unsigned i = 0; i < kWrites; ++i) {
      const std::string key = fmt::format("{}/{}", life->name, i);
      S3Request request;
      request.method = "PUT";
      request.target = key;
      request.body = key;
      auto asking = ask("behind", std::move(request));
      const S3Reply put = co_await std::move(asking);
      life->keys[key] = put.ok() ? BucketLife::Key::there : BucketLife::Key::unknown;
      const Duration pause = milliseconds(random.below(1500));
      co_await sleep_for(world_.clock, pause);
    }
    world_.net.mend_all();
  }
  asked_.reset();
}

// In peace: at every node.
Task<> Scenario::look_at_buckets() {
  for (const std::shared_ptr<BucketLife>& life : buckets_) {
    if (!life->made) continue;
    std::optional<bool> there;
    for (const SimNode* node : world_.members()) {
      asked_ = node->index;
      S3Reply reply;
      for (unsigned tries = 0; tries < 60 && (reply.status == 0 || reply.status >= 500); ++tries) {
        if (tries > 0) co_await sleep_for(world_.clock, seconds(1));
        S3Request request;
        request.target = life->name + "?list-type=2";
        auto asking = ask("buckets", std::move(request));
        reply = co_await std::move(asking);
      }
      asked_.reset();
      if (reply.status != 200 && reply.status != 404) {
        world_.violation(fmt::format("{} says {} of {}", node->name, reply.status, life->name));
        continue;
      }
      if (there && *there != reply.ok())
        world_.violation(fmt::format("{} is there at some nodes only", life->name));
      there = reply.ok();
      check_bucket(*life, reply, node->name);
    }
  }
  buckets_.clear();
}

void Scenario::check_bucket(const BucketLife& life, const S3Reply& listed, const std::string& node) {
  std::set<std::string> keys;
  for (const std::string& row : elements(listed.body, "Contents"))
    keys.insert(life.name + "/" + element(row, "Key"));
  if (listed.ok() && life.deleted)
    world_.violation(fmt::format("{} was deleted, and {} has it", life.name, node));
  if (!listed.ok() && !life.deleted && !life.in_doubt)
    world_.violation(fmt::format("{} was never deleted, and {} has it not", life.name, node));
  for (const auto& [key, state] : life.keys) {
    if (state == BucketLife::Key::there && !keys.contains(key))
      world_.violation(fmt::format("{} was written, and {} does not list it", key, node));
    if (state == BucketLife::Key::gone && keys.contains(key))
      world_.violation(fmt::format("{} was deleted, and {} lists it", key, node));
    keys.erase(key);
  }
  for (const std::string& key : keys)
    world_.violation(fmt::format("{} lists {}, which nobody wrote", node, key));
}

}  // namespace ostraka::sim
