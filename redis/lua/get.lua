-- ARGV: IDs.
return {rows(ARGV), now}
