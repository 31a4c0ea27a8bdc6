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

/// Every connection fails in the same way, and there is no IPv6.
class FailingConnector final : public Connector {
 public:
  explicit FailingConnector(ErrorCode error) : error_(error) {}

  Task<Result<std::unique_ptr<Stream>>> connect(Endpoint peer, std::string, SteadyTime) override {
    if (peer.is_ipv6()) co_return ErrorCode(boost::asio::error::network_unreachable);
    co_return error_;
  }

 private:
  ErrorCode error_;
};

Disposition trouble_for(ErrorCode error, std::vector<RouteHost> route_hosts = {
                                             {"mx.b.example", {"192.0.2.2", 25}}}) {
  boost::asio::io_context context;
  fake::VirtualClock clock;
  HostTable hosts;
  FailingConnector connector(error);
  ConnectionPorts ports;
  ports.connector = &connector;
  ports.clock = &clock;
  ports.hosts = &hosts;
  Route route;
  route.hosts = std::move(route_hosts);
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

TEST(Connection, AFamilyThatThisMachineCannotReachCostsNoTry) {
  std::vector<RouteHost> hosts;
  for (int i = 1; i <= 6; ++i) {
    const std::string number = std::to_string(i);
    hosts.push_back({"mx" + number + ".b.example", {"2001:db8::" + number, 25}});
  }
  hosts.push_back({"mx7.b.example", {"192.0.2.7", 25}});
  // The seventh is tried, and what it says stands before that there is no way to the others.
  const Disposition trouble = trouble_for(boost::asio::error::connection_refused, hosts);
  EXPECT_EQ(trouble.host, "mx7.b.example");
  EXPECT_NE(trouble.reply.text.find("192.0.2.7"), std::string::npos) << trouble.reply.text;
}

}  // namespace
}  // namespace mansio::delivery
