#include "runtime/shard.h"

#include <pthread.h>

#include <boost/asio/post.hpp>
#include <string>

#include "base/check.h"

namespace ostraka {
namespace {

constexpr Duration kTrimInterval = std::chrono::seconds(1);

}  // namespace

Shard::Shard(unsigned index, Clock& clock, ShardSpec spec)
    : index_(index), clock_(clock), buffers_(spec.slab_bytes, spec.max_slabs, spec.keep_slabs) {}

Shard::~Shard() {
  buffers_.drop_waiters();
}

void Shard::trim_regularly() {
  buffers_.trim();
  const TimePoint next = clock_.now() + kTrimInterval;
  trim_timer_ = clock_.arm(executor(), next, [this] { trim_regularly(); });
}

ShardPool::ShardPool(unsigned shards, Clock& clock, ShardSpec spec) {
  CHECK(shards > 0);
  for (unsigned i = 0; i < shards; ++i) shards_.push_back(std::make_unique<Shard>(i, clock, spec));
}

ShardPool::~ShardPool() {
  stop();
}

void ShardPool::start() {
  CHECK(threads_.empty());
  for (const auto& owned : shards_) {
    Shard* shard = owned.get();
    guards_.emplace_back(shard->executor());
    boost::asio::post(shard->executor(), [shard] { shard->trim_regularly(); });
    threads_.emplace_back([shard] { shard->io().run(); });
    const std::string name = "shard-" + std::to_string(shard->index());
    pthread_setname_np(threads_.back().native_handle(), name.c_str());
  }
}

void ShardPool::stop() {
  guards_.clear();
  for (const auto& shard : shards_) shard->io().stop();
  for (auto& thread : threads_) thread.join();
  threads_.clear();
}

}  // namespace ostraka
