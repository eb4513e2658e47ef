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
  // At several nodes at once, so that they meet.
  const bool hot = world_.is_cluster() && world_.random.chance(0.3);
  const std::size_t index = hot ? 0 : world_.random.below(spec_.keys);
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
  // the last of several stripes too short for all data shards, or for any
  if (kind >= 99 && random.below(2) == 0) bytes = kStripeBytes * random.between(1, 2) + random.below(700);
  return model_.bodies.make(random, bytes);
}

Task<S3Reply> Scenario::ask(std::string who, S3Request request) {
  const TimePoint begin = world_.clock.now();
  std::string what = request.method + " " + request.target;
  const std::size_t node = asked_.value_or(some_node());
  const std::uint64_t pauses = world_.node(node).pauses;
  const bool writes = !request.admin && request.method != "GET" && request.method != "HEAD";
  if (world_.is_cluster()) what += " of " + world_.node(node).name;
  auto exchanging = world_.exchange(std::move(request), node);
  S3Reply reply = co_await std::move(exchanging);
  reply.node = node;
  ++done_;
  if (reply.status == 0 || reply.status >= 500) ++failed_;
  world_.note(fmt::format("{} {} -> {} {}", who, what, reply.status,
                          reply.status >= 300 && reply.status != 304 ? reply.code() : reply.etag()));
  if (world_.clock.now() - begin > kPatience && world_.node(node).pauses == pauses) {
    world_.violation(
        fmt::format("{} took {} s", what, std::chrono::duration<double>(world_.clock.now() - begin).count()));
  }
  if (reply.ok() && etcd_left_ && *etcd_left_ <= begin && writes)
    world_.probes.hit("cluster: a write is acknowledged while no node reaches etcd");
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
    op.expect = last_written(key);
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
  std::string known;  // what the client has, and does not want again
  if (world_.random.chance(0.15)) known = last_written(key);
  if (!known.empty()) request.headers.add("If-None-Match", "\"" + model_.bodies.etag(known) + "\"");
  HistoryOp op;
  op.kind = Kind::read;
  HistoryOp* at = reg(key).begin(op, model_.tick());
  auto asking = ask("read", std::move(request));
  const S3Reply reply = co_await std::move(asking);
  if (reply.status != 304 || known.empty()) {
    settle_read(at, reply, head, key);
    co_return;
  }
  at->ret = model_.tick();
  at->state = State::ok;
  at->value = known;
}

std::string Scenario::last_written(const std::string& key) {
  const auto& history = reg(key).history();
  for (auto it = history.rbegin(); it != history.rend(); ++it)
    if (it->state == State::ok && !it->value.empty() && it->value != kCopied) return it->value;
  return {};
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

Task<> Scenario::erase(std::string key, Kind kind) {
  S3Request request;
  request.method = "DELETE";
  request.target = key;
  HistoryOp op;
  op.kind = Kind::erase;
  if (kind == Kind::erase_match) op.expect = last_written(key);
  if (!op.expect.empty()) {
    op.kind = Kind::erase_match;
    request.headers.add("If-Match", "\"" + model_.bodies.etag(op.expect) + "\"");
  }
  HistoryOp* at = reg(key).begin(op, model_.tick());
  auto asking = ask("erase", std::move(request));
  S3Reply reply = co_await std::move(asking);
  if (op.kind == Kind::erase_match && reply.status == 404) reply.status = 412;  // it is not there
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
  const std::string value = settle_source(read, from, etag);
  if (!value.empty()) at->value = model_.bodies.copy_of(value, etag);
}

std::string Scenario::settle_source(HistoryOp* read, const std::string& from, const std::string& etag) {
  // A copy of parts is one body, with the ETag of one: when the key has had the same bytes in parts and as
  // one, the answer does not tell which of them was read.
  std::set<std::string> read_perhaps;
  for (const HistoryOp& candidate : reg(from).history()) {
    if (candidate.value.empty() || candidate.value == kCopied) continue;
    const std::string& text = model_.bodies.text(candidate.value);
    if (model_.bodies.etag(candidate.value) == etag || hex(digest(DigestKind::md5, text)) == etag)
      read_perhaps.insert(candidate.value);
  }
  if (read_perhaps.empty()) {
    world_.violation(fmt::format("copy of {}: nobody ever wrote ETag {} there", from, etag));
    return {};
  }
  read->value = *read_perhaps.begin();
  if (read_perhaps.size() == 1) read->state = State::ok;
  return *read_perhaps.begin();
}

Task<> Scenario::one_operation() {
  SimRandom& random = world_.random;
  const std::uint64_t x = random.below(100);
  const std::string key = some_key();
  if (world_.is_cluster() && random.chance(0.08)) co_return co_await race(key);
  if (x < 28) co_return co_await put(key, Kind::put);
  if (x < 33) co_return co_await put(key, Kind::create);
  if (x < 40) co_return co_await put(key, Kind::match);
  if (x < 65) co_return co_await get(key, x % 3 == 0);
  if (x < 72) co_return co_await get_range(key);
  if (x < 79) co_return co_await erase(key, Kind::erase);
  if (x < 82) co_return co_await erase(key, Kind::erase_match);
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
  if (x < 97) co_return co_await list_versions();
  if (x < 98) co_return co_await browse();
  co_await list();
}

Task<> Scenario::client(unsigned operations) {
  for (unsigned i = 0; i < operations && !ended_; ++i) {
    co_await one_operation();
    // What goes wrong between nodes lasts for seconds.
    const std::uint64_t rest = world_.is_cluster() ? (long_round_ ? 60'000 : 12'000) : 2000;
    const Duration pause = milliseconds(world_.random.below(world_.random.chance(0.1) ? rest : 40));
    co_await sleep_for(world_.clock, pause);
  }
  --working_;
}

}  // namespace ostraka::sim
