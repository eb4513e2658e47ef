// Export and import of the control store's documents.
#include <nlohmann/json.hpp>

#include "cluster/embedded_control_store.h"
#include "cluster/limits.h"

namespace ostraka::cluster {

namespace {

using Json = nlohmann::json;
constexpr std::uint64_t kExportVersion = 1;
// Where the data lies is a fact of these drives: an import does not change it.
constexpr std::string_view kPlacementName = "cluster/placement";
constexpr std::string_view kOwnPrefix = "control/";  // bookkeeping of a store, meaningless in another

struct Imported {
  std::string name, content;
};

Result<std::vector<Imported>> parse_export(std::string_view text) {
  if (text.size() > kMaxImportBytes) return fail(Errc::too_large, "control store import: too large");
  const Json root = Json::parse(text, nullptr, false);
  if (!root.is_object() || !root.contains("version") || !root["version"].is_number_unsigned())
    return fail(Errc::malformed, "control store import: not an exported control store");
  if (root["version"].get<std::uint64_t>() != kExportVersion)
    return fail(Errc::unsupported_version, "control store import: version " + root["version"].dump());
  if (!root.contains("documents") || !root["documents"].is_array() ||
      root["documents"].size() > kMaxDocuments)
    return fail(Errc::malformed, "control store import: no list of documents");
  std::vector<Imported> out;
  for (const Json& entry : root["documents"]) {
    if (!entry.is_object() || !entry.contains("name") || !entry["name"].is_string() ||
        !entry.contains("content") || !entry["content"].is_string())
      return fail(Errc::malformed, "control store import: a document without name or content");
    Imported document{entry["name"].get<std::string>(), entry["content"].get<std::string>()};
    if (document.name.empty() || document.name.size() > kMaxDocumentNameBytes ||
        document.content.size() > kMaxDocumentBytes)
      return fail(Errc::too_large, "control store import: document " + document.name.substr(0, 100));
    if (document.name.substr(0, kOwnPrefix.size()) == kOwnPrefix) continue;
    out.push_back(std::move(document));
  }
  return out;
}

}  // namespace

std::string EmbeddedControlStore::export_json() const {
  Json root;
  root["version"] = kExportVersion;
  root["documents"] = Json::array();
  for (const auto& document : list("")) {
    if (document->name.substr(0, kOwnPrefix.size()) == kOwnPrefix) continue;
    root["documents"].push_back({{"name", document->name}, {"content", document->content}});
  }
  return root.dump(2, ' ', false, Json::error_handler_t::replace);
}

Task<Result<>> EmbeddedControlStore::import_json(Ctx& ctx, std::string text) {
  CO_TRY(documents, parse_export(text));
  for (auto& document : documents) {
    if (document.name == kPlacementName && get(kPlacementName)) continue;
    CO_TRY_VOID(co_await put(ctx, std::move(document.name), std::move(document.content), std::nullopt));
  }
  co_return Result<>{};
}

}  // namespace ostraka::cluster
