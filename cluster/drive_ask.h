// One call to a drive of another node: ask<Answer>(link, ctx, method, request). Errors: those of the drive;
// of the transport, unavailable where nothing was begun, deadline and closed where nobody knows; an answer
// that makes no sense is closed.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "cluster/drive_link.h"
#include "cluster/drive_message.h"
#include "cluster/limits.h"

namespace ostraka::cluster {

// Bytes that travel beside the messages.
struct Cargo {
  BufferChain body;
  std::shared_ptr<CallStop> stop;
  std::vector<disk::BlockTarget> into;
  bool checks_body = false;
};

template <class Answer, class Request>
Task<Result<Answer>> ask_with(std::shared_ptr<DriveLink> link, Ctx& ctx, std::string_view method,
                              Request request, Cargo cargo) {
  CO_TRY_VOID(link->ready(ctx));
  request.set_drive(put_uuid(link->spec().drive));
  request.set_until_ms(link->until_ms(ctx));
  link->errands().take(*request.mutable_errands());
  if (is_empty(request.errands())) request.clear_errands();
  PeerCall call;
  call.method = method;
  call.head = request.SerializeAsString();
  if (call.head.size() > kMaxPeerHead) {
    link->errands().put_back(std::move(*request.mutable_errands()));
    co_return fail(Errc::too_large, "a call to a drive of another node");
  }
  call.body = std::move(cargo.body);
  call.stop = std::move(cargo.stop);
  call.checks_body = cargo.checks_body;
  auto sending = link->send(ctx, std::move(call), std::move(cargo.into));
  const Result<PeerAnswer> answer = co_await std::move(sending);
  if (!answer) {
    if (answer.failed_with(Errc::unavailable))
      link->errands().put_back(std::move(*request.mutable_errands()));
    co_return tl::unexpected<Error>(link->failed(answer.error()));
  }
  Answer out;
  if (answer->head.size() > kMaxPeerHead || !out.ParseFromString(answer->head))
    co_return tl::unexpected<Error>(link->garbage("an answer that does not parse"));
  link->heard(out.status());
  const Result<> status = take_status(out.status());
  if (!status) co_return fail(status.code(), link->spec().node + ": " + status.error().detail);
  co_return std::move(out);
}

template <class Answer, class Request>
Task<Result<Answer>> ask(std::shared_ptr<DriveLink> link, Ctx& ctx, std::string_view method,
                         Request request) {
  Cargo nothing;
  auto asking = ask_with<Answer>(std::move(link), ctx, method, std::move(request), std::move(nothing));
  Result<Answer> answer = co_await std::move(asking);
  co_return answer;
}

// What take_*() of drive_message.h made of an answer.
template <class T>
Result<T> believed(DriveLink& link, Result<T> taken) {
  if (taken) return taken;
  return tl::unexpected<Error>(link.garbage(taken.error().detail));
}

}  // namespace ostraka::cluster
