// links: iam net runtime base
// A request head, one line each: "METHOD target", then "name: value". Verifying it, as a request and as a
// POST form, must not crash and must give a complete answer. The corpus holds AWS's published examples.
#include <algorithm>
#include <cstdlib>
#include <string>

#include "base/bytes.h"
#include "base/encoding.h"
#include "iam/post_policy.h"
#include "iam/sigv4.h"

namespace {

using namespace ostraka;

constexpr std::int64_t kExampleMs = 1'369'353'600'000;  // 2013-05-24, the day of AWS's examples

class StandingClock final : public Clock {
 public:
  TimePoint now() const noexcept override { return {}; }
  std::int64_t unix_ms() const noexcept override { return kExampleMs; }
  std::unique_ptr<Timer> arm(IoExecutor, TimePoint, std::function<void()>) override { return nullptr; }
};

std::string_view next_line(std::string_view& text) {
  const std::string_view line = text.substr(0, text.find('\n'));
  text.remove_prefix(std::min(text.size(), line.size() + 1));
  return line;
}

net::RequestHead parse(std::string_view text) {
  net::RequestHead head;
  const std::string_view first = next_line(text);
  head.method_text = first.substr(0, first.find(' '));
  head.target = first.substr(std::min(first.size(), head.method_text.size() + 1));
  while (!text.empty()) {
    const std::string_view line = next_line(text);
    const auto colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    head.headers.add(std::string(line.substr(0, colon)), std::string(trim(line.substr(colon + 1))));
  }
  return head;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const StandingClock clock;
  static const iam::RootCredentials store("AKIAIOSFODNN7EXAMPLE",
                                          iam::Secret("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"));
  static const iam::SigV4Verifier verifier(store, "us-east-1", clock);
  const net::RequestHead head = parse(as_text({data, size}));
  const auto result = verifier.verify(head);
  if (!result && (result.error().s3_code.empty() || result.error().status < 400)) std::abort();
  if (result && result->chunk_signing.has_value() != iam::has_chunk_signatures(result->payload)) std::abort();
  // The same headers as the fields of a form.
  const auto form = verifier.verify_form(head.headers);
  if (!form && form.error().s3_code.empty()) std::abort();
  const auto range = iam::check_post_policy(head.headers.get("policy"), head.headers, kExampleMs);
  if (!range && range.error().s3_code.empty()) std::abort();
  return 0;
}
