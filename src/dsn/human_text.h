// The part of a notice that people read. Pure.
#pragma once

#include <string>

#include "dsn/bounce_builder.h"

namespace mansio::dsn {

/// Who did not get it, why, what the other server said, and what to do now. UTF-8, CRLF.
std::string human_text(const NoticeRequest& request);

}  // namespace mansio::dsn
