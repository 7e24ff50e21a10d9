// Package redis keeps scrapers, their jobs and what goes with them in Redis.
package redis

import _ "github.com/redis/go-redis/v9"
