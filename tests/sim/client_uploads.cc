// Clients that upload in parts.
#include <fmt/format.h>

#include <algorithm>

#include "base/encoding.h"
#include "base/limits.h"
#include "tests/sim/scenario.h"

namespace ostraka::sim {

using Kind = HistoryOp::Kind;
using State = HistoryOp::State;

namespace {

constexpr double kSeveralParts = 0.004;  // of the uploads: all parts but the last are large
constexpr int kPartTries = 3;

}  // namespace

// The ETag; "": it was not taken.
Task<std::string> Scenario::put_part(std::string key, std::string id, std::size_t number, std::string part) {
  for (int tries = 0; tries < kPartTries; ++tries) {
    S3Request request;
    request.method = "PUT";
    request.target = fmt::format("{}?partNumber={}&uploadId={}", key, number, id);
    request.body = model_.bodies.text(part);
    auto staging = ask(part, std::move(request));
    const S3Reply reply = co_await std::move(staging);
    if (reply.ok()) {
      std::string etag = model_.bodies.etag(part);
      co_return etag;
    }
    if (reply.status >= 400 && reply.status < 500)
      world_.violation(fmt::format("part of {} was answered with {} {}", key, reply.status, reply.code()));
  }
  co_return std::string();
}

// The body that became the part; "": it was not taken.
Task<std::string> Scenario::copy_part(std::string key, std::string id, std::string from) {
  S3Request request;
  request.method = "PUT";
  request.target = fmt::format("{}?partNumber=1&uploadId={}", key, id);
  request.headers.add("x-amz-copy-source", from);
  HistoryOp source;
  source.kind = Kind::read;
  HistoryOp* read = reg(from).begin(source, model_.tick());
  auto staging = ask("copy", std::move(request));
  const S3Reply reply = co_await std::move(staging);
  read->ret = model_.tick();
  read->state = State::none;
  if (reply.status == 404 && reply.code() == "NoSuchKey") read->state = State::ok;
  std::string value;
  if (reply.ok() && element(reply.body, "Code").empty())
    value = settle_source(read, from, unquoted(element(reply.body, "ETag")));
  co_return value;
}

Task<> Scenario::abort_upload(std::string key, std::string id) {
  S3Request abort;
  abort.method = "DELETE";
  abort.target = fmt::format("{}?uploadId={}", key, id);
  auto aborting = ask("upload", std::move(abort));
  const S3Reply aborted = co_await std::move(aborting);
  if (!aborted.ok()) co_return;
  S3Request parts;
  parts.target = fmt::format("{}?uploadId={}", key, id);
  auto listing = ask("upload", std::move(parts));
  const S3Reply listed = co_await std::move(listing);
  if (listed.ok()) world_.violation("an aborted upload is still there: " + key);
}

Task<> Scenario::abort_open_uploads() {
  S3Request uploads;
  uploads.target = fmt::format("{}?uploads", kBucket);
  auto asking = ask("uploads", std::move(uploads));
  const S3Reply open = co_await std::move(asking);
  if (!open.ok()) co_return;
  for (const std::string& upload : elements(open.body, "Upload")) {
    world_.probes.hit("peace: an upload is aborted, to end the heal");
    std::string key = fmt::format("{}/{}", kBucket, element(upload, "Key"));
    std::string id = element(upload, "UploadId");
    co_await abort_upload(std::move(key), std::move(id));
  }
}

// An upload that is open is listed, and so are its parts.
Task<> Scenario::look_at_upload(std::string key, std::string id, std::vector<std::string> etags) {
  S3Request uploads;
  const std::string name = key.substr(sizeof(kBucket));
  uploads.target = fmt::format("{}?uploads&prefix={}", kBucket, percent_encode(name, Slash::encode));
  auto asking = ask("uploads", std::move(uploads));
  const S3Reply open = co_await std::move(asking);
  const std::vector<std::string> ids = elements(open.body, "UploadId");
  const bool whole = open.ok() && element(open.body, "IsTruncated") == "false";
  if (whole && std::find(ids.begin(), ids.end(), id) == ids.end())
    world_.violation(fmt::format("an open upload of {} is not listed", key));
  S3Request parts;
  parts.target = fmt::format("{}?uploadId={}", key, id);
  auto listing = ask("parts", std::move(parts));
  const S3Reply listed = co_await std::move(listing);
  if (!listed.ok()) {
    if (listed.status >= 400 && listed.status < 500)
      world_.violation(fmt::format("parts of {}: {} {}", key, listed.status, listed.code()));
    co_return;
  }
  std::vector<std::string> seen;
  for (const std::string& part : elements(listed.body, "Part"))
    seen.push_back(unquoted(element(part, "ETag")));
  if (seen != etags) world_.violation(fmt::format("{} has other parts than it was given", key));
}

Task<> Scenario::upload(std::string key) {
  SimRandom& random = world_.random;
  S3Request create;
  create.method = "POST";
  create.target = key + "?uploads";
  auto creating = ask("upload", std::move(create));
  const S3Reply created = co_await std::move(creating);
  if (!created.ok()) co_return;
  const std::string id = element(created.body, "UploadId");
  std::vector<std::string> parts, etags;
  bool staged = true;
  const std::string from = some_key();
  if (random.chance(0.15)) {
    const std::string part = co_await copy_part(key, id, from);
    staged = !part.empty();
    if (staged) {
      parts.push_back(part);
      etags.push_back(model_.bodies.etag_of_part(part));
    }
  } else {
    if (random.chance(kSeveralParts)) parts.push_back(model_.bodies.make(random, kMinPartBytes));
    parts.push_back(body_name());
    const std::string first = body_name();
    if (random.chance(0.2)) {  // the last one counts
      const std::string replaced = co_await put_part(key, id, 1, first);
      staged = !replaced.empty();
    }
    for (std::size_t i = 0; i < parts.size() && staged; ++i) {
      const std::string part = parts[i];
      const std::string etag = co_await put_part(key, id, i + 1, part);
      staged = !etag.empty();
      etags.push_back(etag);
    }
  }
  if (!staged || random.chance(0.2)) {
    co_await abort_upload(key, id);
    co_return;
  }
  if (random.chance(0.3)) co_await look_at_upload(key, id, etags);
  co_await complete(key, id, parts, etags);
}

Task<> Scenario::complete(std::string key, std::string id, std::vector<std::string> parts,
                          std::vector<std::string> etags) {
  const std::string name = model_.bodies.in_parts(parts);
  S3Request request;
  request.method = "POST";
  request.target = fmt::format("{}?uploadId={}", key, id);
  request.body = "<CompleteMultipartUpload>";
  for (std::size_t i = 0; i < etags.size(); ++i)
    request.body +=
        fmt::format("<Part><PartNumber>{}</PartNumber><ETag>\"{}\"</ETag></Part>", i + 1, etags[i]);
  request.body += "</CompleteMultipartUpload>";
  HistoryOp op;
  op.kind = world_.random.chance(0.15) ? Kind::create : Kind::put;
  op.value = name;
  if (op.kind == Kind::create) request.headers.add("If-None-Match", "*");
  HistoryOp* at = reg(key).begin(op, model_.tick());
  auto completing = ask(name, std::move(request));
  S3Reply reply = co_await std::move(completing);
  if (reply.ok() && element(reply.body, "Code") != "") reply.status = 503;  // 200 and an error in the body
  settle_write(at, reply, "complete of " + key);
  if (at->state == State::refused) co_await abort_upload(key, id);
}

}  // namespace ostraka::sim
