// `consort ambassador shard-proxy`: one memcached or Redis on localhost in front of many.
#pragma once

#include "manage/role.hpp"

namespace consort::shard_proxy {

extern const RoleSpec kShardProxy;

}  // namespace consort::shard_proxy
