#include "iam/post_policy.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>

#include "base/encoding.h"
#include "iam/limits.h"

namespace ostraka::iam {

namespace {

using nlohmann::json;

AuthFailure invalid_document(std::string_view why) {
  return {.s3_code = "InvalidPolicyDocument",
          .status = 400,
          .message = fmt::format("Invalid Policy: {}", why),
          .details = {}};
}
AuthFailure denied(std::string_view why) {
  return {.s3_code = "AccessDenied",
          .status = 403,
          .message = fmt::format("Invalid according to Policy: {}", why),
          .details = {}};
}

enum class Match { equal, prefix };

struct Condition {
  Match match = Match::equal;
  std::string field;  // lower case, without '$'
  std::string value;
};

// A JSON number or a text of digits: clients send both.
std::optional<std::uint64_t> as_u64(const json& value) {
  if (value.is_number_unsigned()) return value.get<std::uint64_t>();
  if (value.is_string()) return parse_u64(value.get_ref<const std::string&>());
  return std::nullopt;
}

std::string printed(const Condition& condition) {
  const json list = {condition.match == Match::equal ? "eq" : "starts-with", "$" + condition.field,
                     condition.value};
  return list.dump(-1, ' ', false, json::error_handler_t::replace);
}

bool holds(const Condition& condition, std::string_view value) {
  if (condition.match == Match::equal) return value == condition.value;
  if (condition.field != "content-type") return value.starts_with(condition.value);
  // A Content-Type may be a list: each of its values has to match.
  while (true) {
    const std::string_view one = value.substr(0, value.find(','));
    if (!trim(one).starts_with(condition.value)) return false;
    if (one.size() == value.size()) return true;
    value.remove_prefix(one.size() + 1);
  }
}

// Fields that a policy need not mention.
bool is_exempt(std::string_view name) {
  return name == "policy" || name == "x-amz-signature" || name == "file" || name.starts_with("x-ignore-");
}

class PolicyCheck {
 public:
  explicit PolicyCheck(const net::Headers& fields) : fields_(fields) {}
  const ContentLengthRange& range() const noexcept { return range_; }

  std::optional<AuthFailure> apply(const json& condition) {
    if (condition.is_object()) return apply_exact(condition);
    if (!condition.is_array() || condition.size() != 3 || !condition[0].is_string()) {
      return invalid_document("Invalid Simple-Condition.");
    }
    const std::string operation = to_lower(condition[0].get_ref<const std::string&>());
    if (operation == "content-length-range") return apply_range(condition);
    if (operation != "eq" && operation != "starts-with")
      return invalid_document("Invalid Condition operation.");
    if (!condition[1].is_string() || !condition[2].is_string())
      return invalid_document("Invalid Simple-Condition.");
    const std::string& field = condition[1].get_ref<const std::string&>();
    if (!field.starts_with('$')) return invalid_document("Condition field must start with '$'.");
    return apply(Condition{.match = operation == "eq" ? Match::equal : Match::prefix,
                           .field = to_lower(std::string_view(field).substr(1)),
                           .value = condition[2].get<std::string>()});
  }

  std::optional<AuthFailure> refuse_unmentioned() const {
    for (const auto& [name, value] : fields_.all()) {
      const std::string lower = to_lower(name);
      if (!is_exempt(lower) && !mentioned_.contains(lower)) return denied("Extra input fields: " + lower);
    }
    return std::nullopt;
  }

 private:
  std::optional<AuthFailure> apply_exact(const json& object) {
    for (const auto& [field, value] : object.items()) {
      if (!value.is_string()) return invalid_document("Invalid Simple-Condition: value must be a string.");
      if (auto reason = apply(Condition{Match::equal, to_lower(field), value.get<std::string>()}))
        return reason;
    }
    return std::nullopt;
  }

  std::optional<AuthFailure> apply_range(const json& condition) {
    const auto low = as_u64(condition[1]);
    const auto high = as_u64(condition[2]);
    if (!low || !high || *low > *high) return invalid_document("Invalid content-length-range.");
    range_.min = std::max(range_.min, *low);
    range_.max = std::min(range_.max, *high);
    return std::nullopt;
  }

  std::optional<AuthFailure> apply(const Condition& condition) {
    const std::string* value = fields_.find(condition.field);
    if (value == nullptr || !holds(condition, *value))
      return denied("Policy Condition failed: " + printed(condition));
    mentioned_.insert(condition.field);
    return std::nullopt;
  }

  const net::Headers& fields_;
  std::set<std::string, std::less<>> mentioned_;
  ContentLengthRange range_;
};

std::optional<AuthFailure> refuse_repeated(const net::Headers& fields) {
  std::set<std::string> seen;
  for (const auto& [name, value] : fields.all()) {
    if (seen.insert(to_lower(name)).second) continue;
    return AuthFailure{.s3_code = "InvalidArgument",
                       .status = 400,
                       .message = "A form field was given more than once.",
                       .details = {{"ArgumentName", name}, {"ArgumentValue", value}}};
  }
  return std::nullopt;
}

}  // namespace

tl::expected<ContentLengthRange, AuthFailure> check_post_policy(std::string_view policy_base64,
                                                                const net::Headers& fields,
                                                                std::int64_t now_ms) {
  const auto refuse = [](AuthFailure reason) { return tl::unexpected<AuthFailure>(std::move(reason)); };
  if (policy_base64.size() > kMaxPolicyBytes) return refuse(invalid_document("too long."));
  const auto text = unbase64(policy_base64);
  if (!text) return refuse(invalid_document("Invalid 'policy' field: not base64."));
  const json document = json::parse(*text, nullptr, false);
  if (!document.is_object()) return refuse(invalid_document("Invalid JSON."));

  const auto expiration = document.find("expiration");
  if (expiration == document.end()) return refuse(invalid_document("Policy missing expiration."));
  const auto ends_at =
      expiration->is_string() ? parse_iso8601(expiration->get_ref<const std::string&>()) : std::nullopt;
  if (!ends_at) return refuse(invalid_document("Invalid 'expiration' value."));
  if (now_ms >= *ends_at) return refuse(denied("Policy expired."));

  const auto conditions = document.find("conditions");
  if (conditions == document.end()) return refuse(invalid_document("Policy missing conditions."));
  if (!conditions->is_array() || conditions->size() > kMaxPolicyConditions) {
    return refuse(invalid_document("Invalid 'conditions' value: must be a List."));
  }
  if (auto reason = refuse_repeated(fields)) return refuse(*std::move(reason));
  PolicyCheck check(fields);
  for (const json& condition : *conditions) {
    if (auto reason = check.apply(condition)) return refuse(*std::move(reason));
  }
  if (auto reason = check.refuse_unmentioned()) return refuse(*std::move(reason));
  return check.range();
}

}  // namespace ostraka::iam
