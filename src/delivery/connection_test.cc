#include "delivery/connection.h"

#include <gtest/gtest.h>

#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <vector>

#include "testing/run.h"
#include "testing/virtual_clock.h"

namespace mansio::delivery {
namespace {

namespace errc = boost::system::errc;

/// Every connection fails in the same way.
class FailingConnector final : public Connector {
 public:
  explicit FailingConnector(ErrorCode error) : error_(error) {}

  Task<Result<std::unique_ptr<Stream>>> connect(Endpoint, std::string, SteadyTime) override {
    co_return error_;
  }

 private:
  ErrorCode error_;
};

Disposition trouble_for(ErrorCode error) {
  boost::asio::io_context context;
  fake::VirtualClock clock;
  HostTable hosts;
  FailingConnector connector(error);
  ConnectionPorts ports;
  ports.connector = &connector;
  ports.clock = &clock;
  ports.hosts = &hosts;
  Route route;
  route.hosts.push_back({"mx.b.example", {"192.0.2.2", 25}});
  return fake::run(context, clock, open_connection(std::move(ports), {}, std::move(route))).trouble;
}

TEST(Connection, WhatThisMachineLacksIsNobodysTry) {
  const std::vector<ErrorCode> errors = {
      errc::make_error_code(errc::too_many_files_open),
      errc::make_error_code(errc::too_many_files_open_in_system),
      errc::make_error_code(errc::no_buffer_space),
      errc::make_error_code(errc::not_enough_memory),
      errc::make_error_code(errc::address_not_available),
      errc::make_error_code(errc::address_in_use),
      errc::make_error_code(errc::permission_denied),
      errc::make_error_code(errc::operation_not_permitted),
      errc::make_error_code(errc::network_down),
      boost::asio::error::address_family_not_supported,
      boost::asio::error::invalid_argument,
  };
  for (const ErrorCode& error : errors) {
    const Disposition trouble = trouble_for(error);
    EXPECT_EQ(trouble.cause, Cause::local) << error.message();
    EXPECT_EQ(trouble.outcome, Outcome::deferred) << error.message();
    EXPECT_FALSE(trouble.counts_as_try) << error.message();
  }
}

TEST(Connection, WhatTheHostOrTheWayToItDoesIsATry) {
  const std::vector<ErrorCode> errors = {
      boost::asio::error::connection_refused, boost::asio::error::connection_reset,
      boost::asio::error::host_unreachable, boost::asio::error::network_unreachable,
      boost::asio::error::timed_out};
  for (const ErrorCode& error : errors) {
    const Disposition trouble = trouble_for(error);
    EXPECT_NE(trouble.cause, Cause::local) << error.message();
    EXPECT_EQ(trouble.outcome, Outcome::deferred) << error.message();
    EXPECT_TRUE(trouble.counts_as_try) << error.message();
  }
}

}  // namespace
}  // namespace mansio::delivery
