#include "cmd/wait_to_join.h"

#include <string>
#include <utility>

#include "base/log.h"

namespace ostraka::cmd {
namespace {

constexpr Duration kOneTry = std::chrono::seconds(30);
constexpr Duration kRetry = std::chrono::seconds(1);

bool may_pass(const Error& error) noexcept {
  return error.code == Errc::unavailable || error.code == Errc::in_doubt || error.code == Errc::deadline;
}

}  // namespace

Task<Result<std::optional<Membership>>> wait_to_join(Shard& main, WaitingServers& servers, Event& stop,
                                                     JoinOnce join) {
  Clock& clock = main.clock();
  CO_TRY_VOID(co_await servers.start());
  Result<std::optional<Membership>> out;
  std::string told;
  while (!stop.is_set()) {
    Ctx ctx{main, clock.now() + kOneTry, "join"};
    auto joining = join(ctx);
    Result<Membership> joined = co_await std::move(joining);
    if (joined) {
      out = std::optional(std::move(*joined));
      break;
    }
    if (!may_pass(joined.error())) {
      out = tl::unexpected<Error>(joined.error());
      break;
    }
    if (joined.error().detail != told) log::warn("waiting for the cluster: {}", joined.error().detail);
    told = joined.error().detail;
    servers.wait_for(told);
    const TimePoint next = clock.now() + kRetry;
    co_await stop.wait_until(clock, next);
  }
  co_await servers.stop();
  co_return out;
}

}  // namespace ostraka::cmd
