#include "base/assert.h"

#include <cstdio>
#include <cstdlib>

namespace mansio {

void assertion_failed(const char* expression, const char* file, int line) {
  // Straight to the descriptor: the logger may be what is broken.
  std::fprintf(stderr, "mansio: assertion failed: %s (%s:%d)\n", expression, file, line);
  std::fflush(stderr);
  std::abort();
}

}  // namespace mansio
