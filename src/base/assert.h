// Assertions about our own code, on in every build. Data that a peer controls never reaches one.
#pragma once

namespace mansio {
/// Logs the expression and its place, then ends the process (recovery from the spool is the tested path).
[[noreturn]] void assertion_failed(const char* expression, const char* file, int line);
}  // namespace mansio

#define MANSIO_ASSERT(expression) \
  (static_cast<bool>(expression)  \
       ? static_cast<void>(0)     \
       : ::mansio::assertion_failed(#expression, __FILE__, __LINE__))
