local function numbers()
  for i = 0, 99999 do coroutine.yield(i) end
end

return function()
  local sum = 0
  for x in coroutine.wrap(numbers) do sum = sum + x end
  return sum
end
