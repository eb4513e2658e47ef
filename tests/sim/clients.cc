// The clients, and what they hold against the model.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/encoding.h"
#include "base/hash.h"
#include "base/limits.h"
#include "tests/sim/scenario.h"

namespace ostraka::sim {

using Kind = HistoryOp::Kind;
using State = HistoryOp::State;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

constexpr Duration kPatience = seconds(100);  // more than any deadline of the server

std::string range_header(std::size_t first, std::size_t last) {
  return fmt::format("bytes={}-{}", first, last);
}

}  // namespace

std::string Scenario::some_key() {
  const std::size_t index = world_.random.below(spec_.keys);
  std::string base = fmt::format("{}/{}{}", kBucket, index % 2 == 0 ? "" : "dir/", index);
  // A history can be checked up to a length: then another key takes the place.
  for (unsigned generation = 0;; ++generation) {
    std::string key = fmt::format("{}.{}", base, generation);
    if (!reg(key).full()) return key;
  }
}

std::string Scenario::body_name() {
  SimRandom& random = world_.random;
  const std::uint64_t kind = random.below(100);
  std::size_t bytes = random.below(3000);
  if (kind >= 80) bytes = random.between(kMaxInlineBytes - 2, kMaxInlineBytes + 2);
  if (kind >= 84) bytes = random.between(kMaxInlineBytes + 1, 300'000);
  if (kind >= 99) bytes = random.between(1'000'000, 1'300'000);
  return model_.bodies.make(random, bytes);
}

Task<S3Reply> Scenario::ask(std::string who, S3Request request) {
  const TimePoint begin = world_.clock.now();
  const std::string what = request.method + " " + request.target;
  S3Reply reply = co_await world_.exchange(std::move(request));
  ++done_;
  if (reply.status == 0 || reply.status >= 500) ++failed_;
  world_.note(fmt::format("{} {} -> {} {}", who, what, reply.status,
                          reply.status >= 300 && reply.status != 304 ? reply.code() : reply.etag()));
  if (world_.clock.now() - begin > kPatience) {
    world_.violation(
        fmt::format("{} took {} s", what, std::chrono::duration<double>(world_.clock.now() - begin).count()));
  }
  co_return reply;
}

void Scenario::settle_write(HistoryOp* op, const S3Reply& reply, std::string_view what) {
  op->ret = model_.tick();
  if (reply.ok()) {
    op->state = State::ok;
  } else if (reply.status == 412) {
    op->state = State::refused;
  } else if (reply.status == 0 || reply.status >= 500 || reply.status == 409) {
    op->state = State::doubt;
    op->ret = ~std::uint64_t{0};
  } else {
    op->state = State::none;
    if (!anything_goes_)
      world_.violation(fmt::format("{} was answered with {} {}", what, reply.status, reply.code()));
  }
}

void Scenario::settle_read(HistoryOp* op, const S3Reply& reply, bool head, const std::string& key) {
  op->ret = model_.tick();
  op->state = State::none;
  if (reply.status == 404) {
    op->state = State::ok;
    if (!head && !anything_goes_ && reply.code() != "NoSuchKey")
      world_.violation(fmt::format("GET {}: {}", key, reply.code()));
    return;
  }
  if (!reply.ok()) {
    if (reply.status != 0 && reply.status < 500 && reply.status >= 300)
      world_.violation(fmt::format("GET {} was answered with {} {}", key, reply.status, reply.code()));
    return;
  }
  const auto name = model_.bodies.by_etag(reply.etag());
  if (!name || !reg(key).written(*name)) {
    world_.violation(fmt::format("GET {}: nobody ever wrote ETag {} there", key, reply.etag()));
    return;
  }
  if (!head && reply.body != model_.bodies.text(*name)) {
    world_.violation(fmt::format("GET {}: WRONG BYTES under the ETag of {}: {} of {} bytes", key, *name,
                                 reply.body.size(), model_.bodies.text(*name).size()));
    return;
  }
  op->value = *name;
  op->state = State::ok;
}

Task<> Scenario::put(std::string key, Kind kind) {
  const std::string name = body_name();
  S3Request request;
  request.method = "PUT";
  request.target = key;
  request.body = model_.bodies.text(name);
  HistoryOp op;
  op.kind = kind;
  op.value = name;
  if (kind == Kind::create) request.headers.add("If-None-Match", "*");
  if (kind == Kind::match) {
    // What somebody wrote lately; it may have been replaced since.
    for (auto it = reg(key).history().rbegin(); it != reg(key).history().rend() && op.expect.empty(); ++it)
      if (it->state == State::ok && !it->value.empty()) op.expect = it->value;
    if (op.expect.empty()) op.expect = name;
    request.headers.add("If-Match", "\"" + model_.bodies.etag(op.expect) + "\"");
  }
  HistoryOp* at = reg(key).begin(op, model_.tick());
  auto asking = ask(name, std::move(request));
  S3Reply reply = co_await std::move(asking);
  // If-Match on a key that is not there: 404, as AWS answers. As good as 412.
  if (kind == Kind::match && reply.status == 404) reply.status = 412;
  settle_write(at, reply, "PUT " + key);
  if (reply.ok() && reply.etag() != model_.bodies.etag(name))
    world_.violation(fmt::format("PUT {}: ETag {}", key, reply.etag()));
}

Task<> Scenario::get(std::string key, bool head) {
  S3Request request;
  request.method = head ? "HEAD" : "GET";
  request.target = key;
  HistoryOp op;
  op.kind = Kind::read;
  HistoryOp* at = reg(key).begin(op, model_.tick());
  auto asking = ask("read", std::move(request));
  const S3Reply reply = co_await std::move(asking);
  settle_read(at, reply, head, key);
}

Task<> Scenario::get_range(std::string key) {
  const std::size_t first = world_.random.below(200'000), last = first + world_.random.below(150'000);
  S3Request request;
  request.target = key;
  request.headers.add("Range", range_header(first, last));
  auto asking = ask("range", std::move(request));
  const S3Reply reply = co_await std::move(asking);
  if (reply.status != 206 || !reply.complete) co_return;
  const auto name = model_.bodies.by_etag(reply.etag());
  if (!name || !reg(key).written(*name)) {
    world_.violation(fmt::format("range of {}: nobody ever wrote ETag {} there", key, reply.etag()));
    co_return;
  }
  const std::string& text = model_.bodies.text(*name);
  if (first >= text.size() || reply.body != std::string_view(text).substr(first, last - first + 1))
    world_.violation(
        fmt::format("range {}-{} of {}: WRONG BYTES under the ETag of {}", first, last, key, *name));
}

Task<> Scenario::erase(std::string key) {
  S3Request request;
  request.method = "DELETE";
  request.target = key;
  HistoryOp op;
  op.kind = Kind::erase;
  HistoryOp* at = reg(key).begin(op, model_.tick());
  auto asking = ask("erase", std::move(request));
  const S3Reply reply = co_await std::move(asking);
  settle_write(at, reply, "DELETE " + key);
}

Task<> Scenario::erase_many(std::vector<std::string> keys) {
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  S3Request request;
  request.method = "POST";
  request.target = std::string(kBucket) + "?delete";
  request.body = "<Delete>";
  std::vector<HistoryOp*> ops;
  for (const std::string& key : keys) {
    request.body += "<Object><Key>" + key.substr(sizeof(kBucket)) + "</Key></Object>";
    HistoryOp op;
    op.kind = Kind::erase;
    ops.push_back(reg(key).begin(op, model_.tick()));
  }
  request.body += "</Delete>";
  request.headers.add("Content-MD5", base64(digest(DigestKind::md5, request.body)));
  auto asking = ask("erase", std::move(request));
  const S3Reply reply = co_await std::move(asking);
  std::vector<std::string> deleted;
  for (const std::string& item : elements(reply.body, "Deleted")) deleted.push_back(element(item, "Key"));
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const std::string name = keys[i].substr(sizeof(kBucket));
    S3Reply one;
    if (reply.ok() && std::find(deleted.begin(), deleted.end(), name) != deleted.end()) {
      one.status = 204;
      one.complete = true;
    }
    settle_write(ops[i], one, "delete of " + keys[i]);
  }
  if (reply.status >= 400 && reply.status < 500)
    world_.violation(fmt::format("DeleteObjects was answered with {} {}", reply.status, reply.code()));
}

// A copy reads one key and writes another: a write of what it says it has read.
Task<> Scenario::copy(std::string from, std::string to) {
  if (from == to) co_return;
  S3Request request;
  request.method = "PUT";
  request.target = to;
  request.headers.add("x-amz-copy-source", from);
  HistoryOp op;
  op.kind = Kind::put;
  op.value = kCopied;
  HistoryOp* at = reg(to).begin(op, model_.tick());
  HistoryOp source;
  source.kind = Kind::read;
  HistoryOp* read = reg(from).begin(source, model_.tick());
  auto asking = ask("copy", std::move(request));
  const S3Reply reply = co_await std::move(asking);
  read->ret = model_.tick();
  read->state = State::none;
  if (reply.status == 404) {
    at->state = State::none;
    read->state = State::ok;
    co_return;
  }
  settle_write(at, reply, "copy to " + to);
  const std::string etag = unquoted(element(reply.body, "ETag"));
  if (at->state == State::doubt) reg(to).give_up();
  if (at->state != State::ok) co_return;
  // A copy of parts is one body, with the ETag of one: when the key has had the same bytes in parts and as
  // one, the answer does not tell which of them was read.
  std::set<std::string> read_perhaps;
  for (const HistoryOp& candidate : reg(from).history()) {
    if (candidate.value.empty() || candidate.value == kCopied) continue;
    const std::string& text = model_.bodies.text(candidate.value);
    if (model_.bodies.etag(candidate.value) == etag || hex(digest(DigestKind::md5, text)) == etag)
      read_perhaps.insert(candidate.value);
  }
  if (!read_perhaps.empty()) {
    at->value = model_.bodies.copy_of(*read_perhaps.begin(), etag);
    read->value = *read_perhaps.begin();
    if (read_perhaps.size() == 1) read->state = State::ok;
    co_return;
  }
  world_.violation(fmt::format("copy of {}: nobody ever wrote ETag {} there", from, etag));
}

Task<> Scenario::upload(std::string key) {
  S3Request create;
  create.method = "POST";
  create.target = key + "?uploads";
  auto creating = ask("upload", std::move(create));
  const S3Reply created = co_await std::move(creating);
  if (!created.ok()) co_return;
  const std::string id = element(created.body, "UploadId");
  const std::string part = body_name();
  bool staged = false;
  for (unsigned tries = 0; tries < 3 && !staged; ++tries) {
    S3Request put_part;
    put_part.method = "PUT";
    put_part.target = fmt::format("{}?partNumber=1&uploadId={}", key, id);
    put_part.body = model_.bodies.text(part);
    auto staging = ask(part, std::move(put_part));
    const S3Reply reply = co_await std::move(staging);
    staged = reply.ok();
    if (reply.status >= 400 && reply.status < 500)
      world_.violation(fmt::format("part of {} was answered with {} {}", key, reply.status, reply.code()));
  }
  if (!staged || world_.random.chance(0.2)) {
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
    co_return;
  }
  const std::string name = model_.bodies.in_parts({part});
  S3Request complete;
  complete.method = "POST";
  complete.target = fmt::format("{}?uploadId={}", key, id);
  complete.body = fmt::format(
      "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>\"{}\"</ETag></Part></"
      "CompleteMultipartUpload>",
      model_.bodies.etag(part));
  HistoryOp op;
  op.kind = Kind::put;
  op.value = name;
  HistoryOp* at = reg(key).begin(op, model_.tick());
  auto completing = ask(name, std::move(complete));
  S3Reply reply = co_await std::move(completing);
  if (reply.ok() && element(reply.body, "Code") != "") reply.status = 503;  // 200 and an error in the body
  settle_write(at, reply, "complete of " + key);
}

// Keys that nothing happens to meanwhile must be listed as they are.
Task<> Scenario::list() {
  const std::uint64_t begin = model_.tick();
  std::map<std::string, std::string> seen;  // key -> ETag
  std::string token;
  do {
    S3Request request;
    request.target = fmt::format("{}?list-type=2&max-keys={}", kBucket, 1 + world_.random.below(10));
    if (!token.empty()) request.target += "&continuation-token=" + percent_encode(token, Slash::encode);
    auto asking = ask("list", std::move(request));
    const S3Reply reply = co_await std::move(asking);
    if (!reply.ok()) {
      if (reply.status >= 400 && reply.status < 500 && !anything_goes_)
        world_.violation(fmt::format("a listing was answered with {} {}", reply.status, reply.code()));
      co_return;
    }
    for (const std::string& item : elements(reply.body, "Contents")) {
      const std::string etag = unquoted(element(item, "ETag"));
      const std::string key = std::string(kBucket) + "/" + element(item, "Key");
      if (!seen.emplace(key, etag).second) world_.violation("listed twice: " + key);
    }
    token = element(reply.body, "NextContinuationToken");
  } while (!token.empty());
  const std::uint64_t end = model_.tick();
  for (auto& [key, history] : model_.registers) {
    if (history.full()) continue;
    // As if it had been read.
    HistoryOp op;
    op.kind = Kind::read;
    op.state = State::ok;
    const auto found = seen.find(key);
    if (found != seen.end()) {
      const auto name = model_.bodies.by_etag(found->second);
      if (!name || !history.written(*name)) {
        world_.violation(fmt::format("{} is listed with ETag {}, which nobody wrote", key, found->second));
        continue;
      }
      op.value = *name;
    }
    if (anything_goes_) continue;
    HistoryOp* at = history.begin(op, begin);
    at->ret = end;
  }
}

Task<> Scenario::one_operation() {
  SimRandom& random = world_.random;
  const std::uint64_t x = random.below(100);
  const std::string key = some_key();
  if (x < 28) co_return co_await put(key, Kind::put);
  if (x < 33) co_return co_await put(key, Kind::create);
  if (x < 40) co_return co_await put(key, Kind::match);
  if (x < 65) co_return co_await get(key, x % 3 == 0);
  if (x < 72) co_return co_await get_range(key);
  if (x < 82) co_return co_await erase(key);
  if (x < 88) {
    const std::string from = some_key();
    co_return co_await copy(from, key);
  }
  if (x < 94) co_return co_await upload(key);
  if (x < 96) {
    std::vector<std::string> keys;
    for (int i = 0; i < 3; ++i) keys.push_back(some_key());
    co_return co_await erase_many(std::move(keys));
  }
  co_await list();
}

Task<> Scenario::client(unsigned operations) {
  for (unsigned i = 0; i < operations && !ended_; ++i) {
    co_await one_operation();
    const Duration pause = milliseconds(world_.random.below(world_.random.chance(0.1) ? 2000 : 40));
    co_await sleep_for(world_.clock, pause);
  }
  --working_;
}

}  // namespace ostraka::sim
