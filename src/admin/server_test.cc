#include "admin/server.h"

#include <gtest/gtest.h>

namespace mansio::admin {
namespace {

TEST(AdminServer, ServesLoopbackAndUnixSocketsOnly) {
  for (const char* address : {"127.0.0.1", "127.8.8.8", "::1", "/run/mansio/admin.sock"}) {
    EXPECT_EQ(AdminServer::why_refused(Endpoint{address, 8025}), nullptr) << address;
  }
  for (const char* address : {"0.0.0.0", "::", "192.0.2.1", "10.0.0.1", "2001:db8::1",
                              "localhost.evil", "", "::ffff:192.0.2.1"}) {
    const char* refusal = AdminServer::why_refused(Endpoint{address, 8025});
    ASSERT_NE(refusal, nullptr) << address;
    EXPECT_NE(std::string(refusal).find("not available in this version"), std::string::npos);
  }
}

}  // namespace
}  // namespace mansio::admin
