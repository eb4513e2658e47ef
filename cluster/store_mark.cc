#include "cluster/store_mark.h"

#include <nlohmann/json.hpp>

namespace ostraka::cluster {

namespace {

using Json = nlohmann::json;
constexpr std::uint64_t kVersion = 1;
constexpr std::size_t kMaxBytes = 4096;

bool read(const Json& object, const char* name, std::string& out) {
  const auto at = object.find(name);
  if (at == object.end() || !at->is_string()) return false;
  out = at->get<std::string>();
  return !out.empty();
}

}  // namespace

std::string encode_store_mark(const StoreMark& mark) {
  const Json out = {
      {"version", kVersion}, {"kept_in", "etcd"}, {"cluster", mark.cluster}, {"identity", mark.identity}};
  return out.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Result<StoreMark> decode_store_mark(std::string_view text) {
  const auto malformed = [] { return fail(Errc::malformed, "the mark of where the control store is kept"); };
  if (text.size() > kMaxBytes) return malformed();
  const Json root = Json::parse(text, nullptr, false);
  if (!root.is_object() || !root.contains("version") || !root["version"].is_number_unsigned())
    return malformed();
  StoreMark out;
  std::string kept_in;
  const auto version = root["version"].get<std::uint64_t>();
  if (version != kVersion || (read(root, "kept_in", kept_in) && kept_in != "etcd")) {
    return fail(Errc::unsupported_version,
                "the mark of where the control store is kept, version " + std::to_string(version));
  }
  if (kept_in.empty() || !read(root, "cluster", out.cluster) || !read(root, "identity", out.identity))
    return malformed();
  return out;
}

}  // namespace ostraka::cluster
