#include "net/service.h"

#include <algorithm>

#include "base/encoding.h"

namespace ostraka::net {

std::string_view to_string(Method method) noexcept {
  switch (method) {
    case Method::get:
      return "GET";
    case Method::head:
      return "HEAD";
    case Method::put:
      return "PUT";
    case Method::post:
      return "POST";
    case Method::delete_:
      return "DELETE";
    case Method::options:
      return "OPTIONS";
    case Method::other:
      break;
  }
  return "OTHER";
}

void Headers::set(std::string_view name, std::string value) {
  const auto same = [name](const Header& header) { return iequals(header.first, name); };
  const auto first = std::find_if(list_.begin(), list_.end(), same);
  if (first == list_.end()) {
    list_.emplace_back(std::string(name), std::move(value));
    return;
  }
  first->second = std::move(value);
  list_.erase(std::remove_if(first + 1, list_.end(), same), list_.end());
}

const std::string* Headers::find(std::string_view name) const noexcept {
  for (const Header& header : list_) {
    if (iequals(header.first, name)) return &header.second;
  }
  return nullptr;
}

std::string_view Headers::get(std::string_view name) const noexcept {
  const std::string* value = find(name);
  return value == nullptr ? std::string_view() : std::string_view(*value);
}

Task<Result<std::size_t>> read_full(BodySource& body, MutableByteSpan out) {
  std::size_t have = 0;
  while (have < out.size()) {
    const MutableByteSpan rest = out.subspan(have);
    CO_TRY(got, co_await body.read(rest));
    if (got == 0) break;
    have += got;
  }
  co_return have;
}

Task<Result<std::string>> read_all(BodySource& body, std::size_t limit) {
  std::string text;
  std::size_t have = 0;
  for (;;) {
    // One byte more than the limit, to tell a body that ends there from one that goes on.
    if (have == text.size()) text.resize(std::min(limit + 1, std::max<std::size_t>(4096, text.size() * 2)));
    const MutableByteSpan room(reinterpret_cast<std::uint8_t*>(text.data()) + have, text.size() - have);
    CO_TRY(got, co_await body.read(room));
    if (got == 0) break;
    have += got;
    if (have > limit)
      co_return fail(Errc::too_large, "a body of more than " + std::to_string(limit) + " bytes");
  }
  text.resize(have);
  co_return text;
}

}  // namespace ostraka::net
