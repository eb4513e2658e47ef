#include "runtime/md5_queue.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/hash.h"
#include "runtime/gate.h"
#include "runtime/shard.h"

namespace ostraka {
namespace {

constexpr std::size_t kSlice = 4 * Md5Queue::kLeastShared;

class Md5QueueTest : public testing::TestWithParam<Md5Kernel> {
 protected:
  Md5QueueTest() {
    if (is_supported(GetParam())) queue_ = std::make_unique<Md5Queue>(GetParam());
  }
  void SetUp() override {
    if (!queue_) GTEST_SKIP() << "not on this CPU";
  }
  static std::string text(std::size_t seed, std::size_t bytes) {
    std::string out(bytes, '\0');
    for (std::size_t i = 0; i < bytes; ++i) out[i] = static_cast<char>((i + seed * 31) * 2654435761U >> 11);
    return out;
  }
  static Task<> hash(Md5Queue* queue, const std::string* text, std::size_t slice, std::string* out) {
    Md5 md5;
    for (std::size_t at = 0; at < text->size(); at += slice) {
      const ByteSpan bytes = as_bytes(std::string_view(*text).substr(at, slice));
      co_await queue->update(md5, bytes);
    }
    *out = md5.finish();
  }
  static Task<> count_turns(int* turns, const bool* stop) {
    const IoExecutor executor = co_await boost::asio::this_coro::executor;
    while (!*stop) {
      ++*turns;
      co_await boost::asio::post(executor, kAwait);
    }
  }
  static Task<> close_gate(Gate* gate, bool* stop) {
    co_await gate->close();
    *stop = true;
  }

  SystemClock clock_;
  std::unique_ptr<Md5Queue> queue_;  // outlives the frames that wait in it
  Shard shard_{0, clock_, ShardSpec{1U << 20, 2, 1}};
};

// Streams of all lengths at the same time, more than there are lanes, that end at different times.
TEST_P(Md5QueueTest, StreamsGetTheirOwnDigests) {
  Gate gate;
  const std::size_t streams = 2 * kMd5Lanes + 3;
  std::vector<std::string> texts(streams), digests(streams);
  for (std::size_t i = 0; i < streams; ++i) {
    texts[i] = text(i, i * kSlice / 2 + i * 7);
    gate.spawn(shard_.executor(), hash(queue_.get(), &texts[i], kSlice, &digests[i]));
  }
  run_to_end(shard_, gate.close());
  for (std::size_t i = 0; i < streams; ++i) EXPECT_EQ(digests[i], digest(DigestKind::md5, texts[i])) << i;
}

// Whoever else is on the shard runs between any two slices.
TEST_P(Md5QueueTest, OthersRunBetweenSlices) {
  Gate gate, others;
  const std::string message = text(1, 10 * kSlice);
  std::string out;
  int turns = 0;
  bool stop = false;
  gate.spawn(shard_.executor(), hash(queue_.get(), &message, kSlice, &out));
  others.spawn(shard_.executor(), count_turns(&turns, &stop));
  run_to_end(shard_, close_gate(&gate, &stop));
  run_to_end(shard_, others.close());
  EXPECT_EQ(out, digest(DigestKind::md5, message));
  EXPECT_GE(turns, 10);
}

// A stream that is destroyed while it waits, as at a shutdown, leaves the others unharmed.
TEST_P(Md5QueueTest, AStreamMayGoWhileItWaits) {
  const std::string kept = text(1, 3 * kSlice);
  std::string out;
  {
    const std::string gone = text(2, kSlice);
    std::string never;
    Shard other(1, clock_, ShardSpec{1U << 20, 2, 1});
    boost::asio::co_spawn(other.executor(), hash(queue_.get(), &gone, kSlice, &never),
                          [](std::exception_ptr) {});
    other.io().run_one();  // up to its first suspension
    EXPECT_EQ(never, "");
  }
  Gate gate;
  gate.spawn(shard_.executor(), hash(queue_.get(), &kept, kSlice, &out));
  run_to_end(shard_, gate.close());
  EXPECT_EQ(out, digest(DigestKind::md5, kept));
}

INSTANTIATE_TEST_SUITE_P(All, Md5QueueTest,
                         testing::Values(Md5Kernel::scalar, Md5Kernel::avx2, Md5Kernel::avx512));

}  // namespace
}  // namespace ostraka
