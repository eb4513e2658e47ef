// The status page: one HTML page without anything from elsewhere. It asks /api/status every two seconds.
#pragma once

#include <string>

namespace ostraka::admin {

std::string status_page();
// The Content-Security-Policy under which the page works: its own style and script by hash, its own origin to
// ask, nothing else.
std::string status_page_policy();

}  // namespace ostraka::admin
