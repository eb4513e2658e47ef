#include "cmd/waiting_servers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>

#include "cmd/wait_to_join.h"
#include "runtime/clock.h"

namespace ostraka::cmd {
namespace {

using boost::asio::ip::tcp;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

std::string get(std::uint16_t port, const std::string& path) {
  boost::asio::io_context io;
  tcp::socket socket(io);
  socket.connect({boost::asio::ip::make_address("127.0.0.1"), port});
  const std::string request = "GET " + path + " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
  boost::asio::write(socket, boost::asio::buffer(request));
  std::string answer;
  boost::system::error_code ended;
  boost::asio::read(socket, boost::asio::dynamic_buffer(answer), ended);
  return answer;
}

class WaitingServersTest : public ::testing::Test {
 protected:
  static WaitingServers::Config config() {
    WaitingServers::Config out;
    out.s3.address = out.console.address = "127.0.0.1:0";
    return out;
  }
  void start() { ASSERT_TRUE(run_to_end(main_, servers_.start())); }
  void TearDown() override { run_to_end(main_, servers_.stop()); }

  SystemClock clock_;
  Shard main_{0, clock_, ShardSpec{4096, 1, 0}};
  WaitingServers servers_{clock_, config()};
};

TEST_F(WaitingServersTest, LivesAndIsNotReady) {
  start();
  for (const std::uint16_t port : {servers_.s3_port(), servers_.console_port()}) {
    EXPECT_THAT(get(port, "/health/live"), StartsWith("HTTP/1.1 200"));
    EXPECT_THAT(get(port, "/health/ready"), StartsWith("HTTP/1.1 503"));
    EXPECT_THAT(get(port, "/health/cluster"), StartsWith("HTTP/1.1 503"));
  }
}

TEST_F(WaitingServersTest, ClientsAreToldToTryAgain) {
  start();
  const std::string answer = get(servers_.s3_port(), "/bucket/key");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 503"));
  EXPECT_THAT(answer, HasSubstr("<Code>ServiceUnavailable</Code>"));
  EXPECT_THAT(answer, HasSubstr("Retry-After: 1"));
}

TEST_F(WaitingServersTest, OnlyOperatorsAreToldWhy) {
  start();
  servers_.wait_for("e1:2379 does not answer");
  EXPECT_THAT(get(servers_.console_port(), "/health/ready"), HasSubstr("e1:2379 does not answer"));
  EXPECT_THAT(get(servers_.s3_port(), "/health/ready"), Not(HasSubstr("e1:2379")));
}

TEST_F(WaitingServersTest, ThePortsAreFreeAfterwards) {
  start();
  WaitingServers::Config again = config();
  again.s3.address = "127.0.0.1:" + std::to_string(servers_.s3_port());
  run_to_end(main_, servers_.stop());
  WaitingServers others(clock_, again);
  EXPECT_TRUE(run_to_end(main_, others.start()));
  run_to_end(main_, others.stop());
}

Task<Result<Membership>> refuse(int* tries) {
  ++*tries;
  co_return fail(Errc::unavailable, "etcd does not answer");
}

// As when packets to etcd are dropped: the first try hangs.
Task<Result<Membership>> hang(WaitingServers* servers, Clock* clock, int* tries, std::string* live,
                              std::string* ready) {
  if (++*tries == 2) {
    co_await sleep_for(*clock, std::chrono::milliseconds(1));
    co_return fail(Errc::invalid_argument, "enough");
  }
  *live = get(servers->console_port(), "/health/live");
  *ready = get(servers->s3_port(), "/health/ready");
  co_return fail(Errc::deadline, "etcd is silent");
}

TEST_F(WaitingServersTest, ProbesAreAnsweredWhileTheFirstTryHangs) {
  int tries = 0;
  std::string live, ready;
  JoinOnce once = [&](Ctx&) { return hang(&servers_, &clock_, &tries, &live, &ready); };
  Event stop;
  const auto joined = run_to_end(main_, wait_to_join(main_, servers_, stop, once));
  ASSERT_FALSE(joined);
  EXPECT_EQ(joined.error().detail, "enough");
  EXPECT_THAT(live, StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(ready, StartsWith("HTTP/1.1 503"));
}

TEST_F(WaitingServersTest, ASignalEndsTheWait) {
  Event stop;
  int tries = 0;
  JoinOnce once = [&](Ctx&) {
    stop.set();
    return refuse(&tries);
  };
  const auto joined = run_to_end(main_, wait_to_join(main_, servers_, stop, once));
  ASSERT_TRUE(joined);
  EXPECT_FALSE(joined->has_value());
  EXPECT_EQ(tries, 1);
}

}  // namespace
}  // namespace ostraka::cmd
