// Clients that list. What nothing happens to meanwhile must be listed as it is: a listing is a read of all
// keys.
#include <fmt/format.h>

#include "base/encoding.h"
#include "tests/sim/scenario.h"

namespace ostraka::sim {

using Kind = HistoryOp::Kind;
using State = HistoryOp::State;

namespace {

constexpr std::string_view kFolder = "dir/";

bool in_folder(std::string_view key) {
  return key.substr(sizeof(kBucket)).starts_with(kFolder);
}

}  // namespace

// Pages until the last; false: somewhere there was no good answer.
Task<bool> Scenario::read_pages(std::string query, std::string item, Listing* out) {
  const bool versions = item == "Version";
  std::string next;
  do {
    S3Request request;
    request.target = fmt::format("{}?{}&max-keys={}", kBucket, query, 1 + world_.random.below(10));
    request.target += next;
    auto asking = ask("list", std::move(request));
    const S3Reply reply = co_await std::move(asking);
    if (!reply.ok()) {
      if (reply.status >= 400 && reply.status < 500 && !anything_goes_)
        world_.violation(fmt::format("a listing was answered with {} {}", reply.status, reply.code()));
      co_return false;
    }
    for (const std::string& row : elements(reply.body, item)) {
      const std::string key = std::string(kBucket) + "/" + element(row, "Key");
      if (!out->etags.emplace(key, unquoted(element(row, "ETag"))).second)
        world_.violation("listed twice: " + key);
      if (versions && (element(row, "VersionId") != "null" || element(row, "IsLatest") != "true"))
        world_.violation("a version of a bucket without versions: " + key);
    }
    for (const std::string& prefix : elements(reply.body, "CommonPrefixes"))
      out->folders.insert(element(prefix, "Prefix"));
    next.clear();
    const std::string token = element(reply.body, "NextContinuationToken");
    if (!token.empty()) next = "&continuation-token=" + percent_encode(token, Slash::encode);
    const std::string marker = element(reply.body, "NextKeyMarker");
    if (!marker.empty()) next = "&key-marker=" + percent_encode(marker, Slash::encode);
  } while (!next.empty());
  co_return true;
}

// As if each key had been read.
void Scenario::settle_listing(const Listing& listing, std::uint64_t begin) {
  if (anything_goes_) return;
  const std::uint64_t end = model_.tick();
  for (auto& [key, history] : model_.registers) {
    if (history.full() || (listing.what == Listed::top && in_folder(key)) ||
        (listing.what == Listed::folder && !in_folder(key))) {
      continue;
    }
    HistoryOp op;
    op.kind = Kind::read;
    op.state = State::ok;
    const auto found = listing.etags.find(key);
    if (found != listing.etags.end()) {
      const auto name = model_.bodies.by_etag(found->second);
      if (!name || !history.written(*name)) {
        world_.violation(fmt::format("{} is listed with ETag {}, which nobody wrote", key, found->second));
        continue;
      }
      op.value = *name;
    }
    HistoryOp* at = history.begin(op, begin);
    at->ret = end;
  }
}

Task<> Scenario::list() {
  Listing all;
  const std::uint64_t begin = model_.tick();
  const bool whole = co_await read_pages("list-type=2", "Contents", &all);
  if (whole) settle_listing(all, begin);
}

Task<> Scenario::list_versions() {
  Listing all;
  const std::uint64_t begin = model_.tick();
  const bool whole = co_await read_pages("versions", "Version", &all);
  if (whole) settle_listing(all, begin);
}

// The top as a client that browses sees it, and then the folder, if it is there.
Task<> Scenario::browse() {
  Listing top;
  top.what = Listed::top;
  std::uint64_t begin = model_.tick();
  const bool whole = co_await read_pages("list-type=2&delimiter=%2F", "Contents", &top);
  if (!whole) co_return;
  settle_listing(top, begin);
  Listing folder;
  folder.what = Listed::folder;
  const bool there = top.folders.contains(std::string(kFolder));
  if (!there) {  // every key in it was read as absent
    settle_listing(folder, begin);
    co_return;
  }
  begin = model_.tick();
  const bool all = co_await read_pages("list-type=2&prefix=dir%2F", "Contents", &folder);
  if (all) settle_listing(folder, begin);
}

}  // namespace ostraka::sim
