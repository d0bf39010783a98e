# Texts for patients in English. Plain words, short sentences. A change of a text whose key begins with "consent-" or
# "data-" changes the consent text: see src/web/patient/wording.rs.

language-name = English
language-en = English
language-es = Spanish
language = Language
skip = Skip to the content
note = Note
simulated = Demonstration: a simulated Open Wearables. Nothing here is real.
questions-to = Questions? Ask { $contact }.
# $sound is "i" before a word that begins with this sound.
list-and = { $sound ->
   *[other] { $first } and { $last }
}
date = { $day } { $month } { $year }
date-time = { $date }, { $time }
month-1 = January
month-2 = February
month-3 = March
month-4 = April
month-5 = May
month-6 = June
month-7 = July
month-8 = August
month-9 = September
month-10 = October
month-11 = November
month-12 = December
save = Save
go-on = Go on
try-again = Try again
check-again = Check again
later = Later: to your choices

## The start page

start-title = Wearables for research
start-lead = This service brings measurements from people’s wearables to the studies that they take part in: only what they agreed to, and only for as long as they do.
start-patient = You take part in a study?
start-patient-text = Open the link that the study sent you. If you have used it in this browser before, go to your choices.
start-staff = You work for a study?
start-sign-in = Sign in

## Errors

error-title = Error: { $title }
error-reference = If you ask about this, give this reference:
error-no-page = There is no such page
error-no-page-text = Check the address.
error-to-start = To the start page
error-bad = This did not work
error-forbidden = Not allowed
error-too-many = Too many tries
error-too-many-text = { $seconds ->
    [one] Please wait a second, then try again.
   *[other] Please wait { $seconds } seconds, then try again.
}
error-not-now = This does not work at the moment
error-not-now-text = Nothing was changed. Please try again in a moment.
error-repeated = “{ $name }” is given more than once. Give it once. Nothing was changed.
error-method = Not possible
error-method-text = This address is not used in this way.
error-cut-form = The form did not arrive completely.
error-address = This address is not understood.
error-line-ends = The lines of this request do not end as HTTP wants it. End them with carriage return and line feed.
error-body-length = The length of this request’s body is not a plain number.
error-host-missing = This request does not name its host. Name it in the header Host.
error-host-bad = The header Host of this request is not a host.
error-host-other = The address and the header Host of this request name two hosts.
error-host-twice = This request names its host more than once. Name it once.
error-too-large = Too large
error-too-large-text = This is more than the address accepts. Nothing was changed.
error-too-slow = Too slow
error-too-slow-text = The form did not arrive in time.
error-form = This form was not accepted
error-form-text = It was too old, or it did not come from our own page. Nothing was changed. Go back, reload the page, and try once more.
interrupted = This service is interrupted
interrupted-text = Nothing that was saved is lost. Please come back in a while.

## Links

sign-in-again = Please open your link again
sign-in-again-text = This browser does not know you. Open the link from your study in this browser. If it does not open any more, ask for a new one.
link-incomplete = This link is not complete
link-incomplete-missing = Part of the link is missing. Open the whole link from the message of your study. If it does not work, ask the person who sent it for a new one.
link-incomplete-changed = Part of its code was lost or changed. Open the whole link from the message of your study. If it does not work, ask the person who sent it for a new one.
link-unknown = We do not know this link
link-unknown-text = Perhaps part of it was lost. Ask for a new one.
link-revoked = This link no longer works
link-revoked-text = There may be a newer one in your messages. Otherwise ask for a new one.
link-expired = This link is too old
link-expired-text = Links work for seven days. Ask for a new one.
link-used = This link was used already
link-used-text = Go on in the browser in which you agreed, or ask for a new one.
link-completed = Your device is connected already
link-completed-text = This link has done its work and does not open any more. To see or change your choices, use the browser in which you connected the device. If you do not have it any more, ask for a new link.
link-foreign = This link belongs elsewhere
link-foreign-text = It is of a service that this page does not work with. Nothing was sent there. Ask the person in your study who sent the link.
link-life = You can close this page. Your link opens again until { $date }, on any phone or computer, as long as no device is connected.
not-for-you = Is the link not meant for you? Then close this page, and tell the person who sent it.
your-number = Your number: { $number }
continue-title = Continue here?
continue-text = This link was opened before in another browser. You can continue here. The other browser is then signed out.
continue-limits = Here you can connect your device, or stop sharing. To agree to something new, ask for a new link.
continue-button = Continue in this browser
may-not-grant = Ask for a new link first
may-not-grant-text = You came back with a link that was used before. With it you can connect your device, or stop sharing. To agree to something new, ask for a new link.
new-link-ask = Ask for a new link
new-link-title = Ask for a new link
new-link-text = We send the new link to the e-mail address that your study has of you. An older link then no longer works.
new-link-no-mail = This service cannot send e-mails. Ask the person in your study who sent you the link for a new one.
new-link-address = Your e-mail address
new-link-address-help = The one that you gave to the study.
new-link-address-wrong = Give an address such as name@example.org.
new-link-send = Send the link
new-link-sent = Check your e-mail
new-link-sent-text = If your study has this address, an e-mail with a new link comes in the next minutes.
new-link-sent-else = Nothing there? Look into the spam folder, or ask the person in your study who sent you the first link.
stale-return = This return link no longer works
stale-return-text = It was used already, took too long, or began in another browser. It has changed nothing. Open the link from your study in this browser to go on.
stale-return-see = See whether your device is connected
jhe-invited = Your study invites you
jhe-invited-lead = You have opened a personal link. With it you can share measurements of your wearable with your study, and change your mind at any time.
jhe-invited-text = When you go on, this browser is signed in as the person for whom the link was made. You then read what is asked, before you agree to anything. A browser that used this link before is signed out.
jhe-link-life = The link opens again for 12 hours after you last went on with it. Later, ask for a new one.
jhe-link-used-text = It works for 12 hours after you last went on with it, and a newer link takes its place at once. If you used it in this browser, go to your choices. Otherwise ask for a new one.
jhe-link-expired-text = Links work for some days only. Ask for a new one.
erased-here = You are not taken in again unasked
erased-here-text = Your data were erased here, as you or your study asked. If you want to take part again, tell the person in your study: they can let you in, and send a new link.
open-link-again = Please open a link of your study again
open-link-again-text = To agree to something new, open the link from your study once more. If it is too old, ask for a new one. Nothing was changed. To stop sharing takes no link.
link-needed = We need your link for this
link-needed-text = We could not stop it for you in this browser. Open the link from your study once more and stop it there, or tell the person in your study that you want to stop. Nothing was changed yet.
choices-unavailable-text = The service that keeps your choices does not answer as it should. What you chose may not be saved. Please try again in a few minutes. If it fails again, tell the person in your study.

## Consent

step-1 = Step 1 of 3
step-2 = Step 2 of 3
step-3 = Step 3 of 3
consent-page-title = Share your data
consent-heading = Would you like to share your data?
consent-lead = Please read this page, tick what you want to share, and decide. It takes about three minutes. You can stop at any time.
consent-who = Who asks
consent-who-text = { $organization }, for the study “{ $study }”.
consent-why = Why
consent-data = Which data
consent-data-text = For each measurement: its value, its time, and the device it came from. What your device measured in the { $past } before you agree is included, and nothing older. If you stop and agree again later, what was measured in between stays out.
consent-readers = Who can see it
consent-readers-text = The people of the study at { $organization }, and whoever runs this service for them. The maker of your device has your data already and is not told what the study does with it.
consent-stop = How to stop
consent-stop-text = At any time, without giving a reason, on the page “Your choices”: in the browser in which you agreed, or with a new link. From then on nothing more is fetched for the study. What was fetched before stays with the study; ask the study to have it erased.
consent-questions = Questions
consent-legend = What do you want to share?
consent-tick = Tick what you agree to.
consent-unmeasured = We do not ask for what your device does not measure ({ $device }): { $types }.
consent-undeliverable = The study also asks for what no device here delivers: { $types }. You are not asked about that here.
past-days = { $count ->
    [one] last day
   *[other] last { $count } days
}
past-hours = { $count ->
    [one] last hour
   *[other] last { $count } hours
}
other-language = This study has no text in English yet. Its text is in { $language }. Agree only if you understand it. You can ask the study to explain it.
text-version = Text { $version } in { $language }, { $date }
agree = I agree
decline = I do not agree
nothing-ticked = Nothing is ticked
nothing-ticked-text = Tick at least one box, or choose “I do not agree”.
text-changed = The text has changed
text-changed-text = The text has changed since you opened the page. Please read it again. Nothing was saved.
declined-title = You have not agreed
declined = You agreed to nothing new
declined-text = Nothing was saved. What you shared before stays shared until you stop it.
declined-link = If you change your mind, the same link works for seven days from when it was made.
declined-browser = If you change your mind, this browser knows you for 30 days.
declined-read = Read what is asked
welcome-back = Welcome back
welcome-back-text = You have answered everything that was asked. Go on to connect a device, or to look at your choices.
asked-for-device = You are asked for what a device of { $device } measures.
other-device = I wear another one
time-zone = Your time zone
time-zone-why = Your days and nights are counted by the clock where you live.
zone-likely = Likely
zone-now = { $zone } (now { $time })
not-asked = The study does not ask you for this any more.
time-zone-unknown = Nothing was saved: there is no such time zone. Choose one of the list.

## Devices

which-device = Which device do you wear?
which-device-title = Choose your device
which-device-text = You are then asked only for what it measures. If you wear several, choose one: you can add another one later.
provider-signs-in = You sign in on the page of the maker, and say yes there. We never see your password.
device-missing = My device is not in the list
device-missing-text = This study reads only these makers. Ask the study if you can take part in another way.
no-device-offered = No device can be connected at the moment
no-device-offered-text = Your answer is saved. The study has not set up its devices yet. Please tell the person who sent you the link.
choose-one = Please choose one of the devices.
on-to = On to { $device }
on-to-text = You are being taken to the page of { $device }. Sign in there as you do in its app, and agree. It then brings you back here.
go-to = Go to { $device }
nothing-shared-withdrawn = You have stopped sharing, so nothing is fetched and no device can be connected. If you want to connect one, first agree to share something.
nothing-shared-suspended = Your earlier answer has to be confirmed, so nothing is fetched and no device can be connected. Ask the person in your study.
nothing-shared-completed = Your part has ended, so nothing is fetched and no device can be connected.
nothing-shared-yet = You have not agreed to share anything yet, so no device can be connected. First agree to share something.
part-over = Your part in { $study } ended on { $day }. Nothing more is fetched for it.
part-late-data = Your part in { $study } ended on { $day }. Nothing that you measure from now on is fetched for it. Until { $late }, your device may still send what it measured before.
part-ends = Your part in { $study } ends on { $day }.
connect-wrong-answer = Your answer is saved; you need not give it again. The service that connects your device gave a wrong answer, so you were sent nowhere. Please tell the person in your study.
withdrew-meanwhile = You stopped sharing while your device was being connected, so it was disconnected again.
withdrew-still-connected = You stopped sharing while your device was being connected. Disconnecting it did not work just now; it is tried again until it works. Nothing is fetched meanwhile.
withdraw-unknown = You have not shared this with this study. Nothing was changed.
connect-unavailable = Your answer is saved; you need not give it again. The service that connects your device does not answer. Please try again in a few minutes, or later in this browser.
your-device = your device
device-refused = You did not agree
device-refused-text = On the page of { $device } you chose not to share. Nothing was connected. Your consent here is still valid.
device-stale = That took too long
device-stale-text = You took longer than 15 minutes on the page of { $device }. Nothing was connected. Please start once more.
device-failed = That did not work
device-failed-text = { $device } or the service that connects it reported an error. Nothing was connected. Please try again. If it fails again, tell the person who sent you the link.
device-unconfirmed = Not connected yet
device-unconfirmed-text = { $device } has not confirmed the connection. If you have just agreed there, check again in a moment. If you left before the end, start once more.
device-unknown = We cannot tell at the moment
device-unknown-text = We cannot find out just now if { $device } is connected: the service that knows it does not answer. Nothing is lost. Check again in a few minutes.
connected = Successfully Connected
connected-text = { $device } is connected. You are done. Thank you.
next = What happens next
next-wear = Keep wearing your device, and open its app as you always do.
next-first = { $minutes ->
    [one] We look for new measurements every minute. The first ones can take an hour.
   *[other] We look for new measurements every { $minutes } minutes. The first ones can take an hour.
}
next-more = Your study also asks for something that you have not agreed to. You can read it on the page “Your choices”; you need not agree.
next-choices = You can look at your data, change your mind, or disconnect at any time on the page “Your choices”.
see-choices = See your choices
connect-another = Connect another device
not-connected = Nothing was connected
go-back = Please go back to where you began
go-back-text = If you began in an app, go back to it: it shows whether your device is connected.
go-back-link = If you began with a link from your study, open the link in this browser, or go back to the browser you used before.

## Choices

choices-title = Your choices
choices-stale = The service that keeps your choices does not answer at the moment: this is what it said last.
done-granted = Saved: you share this from now on.
done-time-zone = Saved: your days and nights are counted by this time zone.
done-disconnected = Your device is disconnected.
done-disconnecting = Your device could not be disconnected at the moment. We try again until it works.
done-withdrawn = You have stopped sharing { $types }. The study receives no more of this data.
done-withdrawn-unnamed = You do not share this any more. The study receives no more of this data.
done-shared-elsewhere = You have stopped sharing { $types } with this study. You still share the same with another one: see below, and stop it there too if you want to.
done-still-connected = You have stopped sharing { $types }. The study receives no more of this data. Your device could not be disconnected at the moment. We try again until it works.
connect-after-agreeing = Once you have agreed, connect your device:
connect-device = connect { $device }
no-study = You are in no study at the moment. Nothing is shared.
shared-since = You have shared this since { $date }.
shared-elsewhere = Shared, but not from your device
unmeasured = Not measured by your device ({ $device })
unmeasured-text = The study asks for more, which your device does not measure: { $types }.
other-measures = { $device } measures: { $types }.
also-wear = I also wear { $device }
not-measured-by = Your device ({ $device }) does not measure it.
agreed-text = What you agreed to
read-first = Read this before you share more
not-shared = You do not share this.
agree-to-share = Agree to share
stop = Stop sharing
stop-everything = Stop sharing everything
stop-and-disconnect = Stop sharing and disconnect
stop-keep = Keep sharing
stop-title = Stop sharing { $types }?
stop-from-now = From now on, the study receives nothing of this: { $types }.
stop-meanwhile = What your device measures while you do not share never reaches the study, even if you share again later.
stop-others = You go on sharing: { $types }.
stop-last = This is the last thing that you share. Your device is disconnected as well.
stop-before = What came before stays with the study. Ask the study to have it erased, if you wish.
device-title = Your device
device-connected = Connected: { $device }
device-none = No device is connected.
device-state-unknown = We cannot find out at the moment if your device is connected.
newest = Last measurement that arrived: { $time }
newest-none = No measurement has arrived yet.
share-first = To connect one, agree to share something first.
connect-again = Connect again
connect-a-device = Connect a device
disconnect = Disconnect
sign-out = Sign out of this browser
sign-out-text = To come back, you then need a new link from your study.
signed-out = You are signed out
signed-out-text = Your choices have not changed. To come back, ask your study for a new link.

## Data

data-title = Your data
data-see = See and download my data
download = Download your data
download-text = Everything that is stored about you here:
download-csv = As a table for a spreadsheet (CSV)
download-json = For other programs: Open mHealth data points (JSON)

## Data types

data-omh-blood-glucose = Blood glucose
    .covers = Blood sugar, as your sensor or meter measures it.
data-omh-blood-pressure = Blood pressure
    .covers = Blood pressure: the upper and the lower value of each measurement.
data-omh-body-temperature = Body temperature
    .covers = Body temperature, each time that it is measured.
data-omh-heart-rate = Heart rate
    .covers = Heart rate through day and night, and your resting heart rate.
data-omh-oxygen-saturation = Blood oxygen
    .covers = Blood oxygen: how much oxygen your blood carries.
data-omh-respiratory-rate = Breathing rate
    .covers = Breathing rate: how many breaths you take in a minute.
data-omh-rr-interval = Time between heartbeats
    .covers = The time from each heartbeat to the next.
data-omh-body-weight = Weight
    .covers = Weight, as your scale or your profile has it.
data-omh-forced-vital-capacity = Lung capacity
    .covers = Lung capacity: how much air you can breathe out in one blow.
data-omh-forced-expiratory-volume-1-second = Breath volume in one second
    .covers = Breath volume in one second: how much air you breathe out in the first second of a blow.
data-QuestionnaireResponse = Answers to questions
    .covers = Your answers to questions.
data-omh-physical-activity = Physical activity
    .covers = Workouts, with their kind, time, distance and energy, and the distance and energy of the day's activity.
data-omh-step-count = Steps
    .covers = Your steps through the day, and the day's total.
data-ieee-sleep-stage-summary = Sleep stages
    .covers = Sleep stages: how long you were in light, deep and dream sleep, and awake.
data-omh-sleep-episode = Sleep
    .covers = Sleep: when each night and nap began and ended, and how well you slept.
data-omh-sleep-duration = Time asleep
    .covers = Time asleep, in each night and nap.
data-omh-body-height = Height
    .covers = Height, as your profile has it.
data-ieee-time-in-bed = Time in bed
    .covers = Time in bed, in each night and nap.
data-local-heart_rate_variability_sdnn = Heart rate variability (SDNN)
    .covers = Heart rate variability: how much the time between heartbeats varies.
data-local-heart_rate_variability_rmssd = Heart rate variability (RMSSD)
    .covers = Heart rate variability: how much the time from one heartbeat to the next changes.
data-local-heart_rate_recovery_one_minute = Heart rate recovery
    .covers = Heart rate recovery: how far your heart rate falls in the first minute after exercise.
data-local-walking_heart_rate_average = Walking heart rate
    .covers = Walking heart rate: the average of your heart rate while you walk.
data-local-atrial_fibrillation_burden = Atrial fibrillation burden
    .covers = Atrial fibrillation burden: the share of time with signs of an irregular heartbeat.
data-local-blood_alcohol_content = Blood alcohol
    .covers = Blood alcohol: alcohol in your blood, as a device measures it.
data-local-peripheral_perfusion_index = Perfusion index
    .covers = Perfusion index: how strong the pulse is at your finger or wrist.
data-local-sleeping_breathing_disturbances = Breathing disturbances
    .covers = Breathing disturbances: how often your breathing is disturbed in your sleep.
data-local-breathing_disturbance_index = Breathing disturbance index
    .covers = Breathing disturbance index: the provider's score of disturbed breathing in your sleep.
data-local-peak_expiratory_flow_rate = Peak expiratory flow
    .covers = Peak expiratory flow: how fast you can breathe out.
data-local-inhaler_usage = Inhaler use
    .covers = Inhaler use: how often you use an inhaler.
data-omh-body-fat-percentage = Body fat
    .covers = Body fat: the share of fat in your body.
data-omh-body-mass-index = Body mass index
    .covers = Body mass index: your weight in relation to your height.
data-local-lean_body_mass = Lean body mass
    .covers = Lean body mass: your weight without fat.
data-local-skin_temperature = Skin temperature
    .covers = Skin temperature: the temperature of your skin.
data-local-skin_temperature_deviation = Skin temperature deviation
    .covers = Skin temperature deviation: how far your skin's temperature is from your usual one.
data-local-skin_temperature_trend_deviation = Skin temperature trend
    .covers = Skin temperature trend: how your skin's temperature changes over days.
data-local-waist_circumference = Waist circumference
    .covers = Waist circumference: the size of your waist.
data-local-body_fat_mass = Body fat mass
    .covers = Body fat mass: the weight of fat in your body.
data-local-skeletal_muscle_mass = Muscle mass
    .covers = Muscle mass: the weight of your muscles.
data-local-garmin_skin_temperature = Skin temperature deviation (Garmin)
    .covers = Skin temperature deviation: how far your skin's temperature is from your usual one, as Garmin gives it.
data-local-electrodermal_activity = Skin conductance
    .covers = Skin conductance: changes of your skin by sweat.
data-local-vo2_max = Fitness (VO2 max)
    .covers = Fitness: how much oxygen your body can use.
data-local-six_minute_walk_test_distance = Six-minute walk
    .covers = Six-minute walk: how far you walk in six minutes.
data-local-cardiovascular_age = Cardiovascular age
    .covers = Cardiovascular age: the provider's estimate of the age of your blood vessels.
data-local-garmin_fitness_age = Fitness age
    .covers = Fitness age: Garmin's estimate of the age that your fitness corresponds to.
data-local-garmin_stress_level = Stress level
    .covers = Stress level: Garmin's score of your stress.
data-local-garmin_body_battery = Body battery
    .covers = Body battery: Garmin's estimate of your energy reserves.
data-local-workout_effort_score = Effort of workouts
    .covers = Effort of workouts: how hard you found a workout.
data-local-estimated_workout_effort_score = Estimated effort of workouts
    .covers = Estimated effort of workouts: how hard a workout was by the provider's estimate.
data-local-physical_effort = Physical effort
    .covers = Physical effort: how hard your body works.
data-local-average_met = Metabolic rate
    .covers = Metabolic rate: how much energy your body uses in relation to rest.
data-omh-calories-burned = Active energy
    .covers = Active energy: the energy that you burn by moving.
data-local-basal_energy = Resting energy
    .covers = Resting energy: the energy that your body burns at rest.
data-local-stand_time = Standing time
    .covers = Standing time: how long you stand.
data-local-exercise_time = Exercise time
    .covers = Exercise time: how long you exercise.
data-local-active_time = Active time
    .covers = Active time: how long you are active in a day.
data-local-flights_climbed = Floors climbed
    .covers = Floors climbed: how many floors you climb.
data-local-distance_walking_running = Distance on foot
    .covers = Distance on foot: how far you walk and run.
data-local-distance_cycling = Distance by bicycle
    .covers = Distance by bicycle: how far you cycle.
data-local-distance_swimming = Distance swum
    .covers = Distance swum: how far you swim.
data-local-distance_downhill_snow_sports = Distance on snow
    .covers = Distance on snow: how far you ski or ride downhill.
data-local-distance_other = Other distance
    .covers = Other distance: how far you go in other ways.
data-local-push_count = Wheelchair pushes
    .covers = Wheelchair pushes: how often you push a wheelchair.
data-local-swimming_stroke_count = Swimming strokes
    .covers = Swimming strokes: how many strokes you swim.
data-local-nike_fuel = Nike Fuel
    .covers = Nike Fuel: Nike's points for activity.
data-local-walking_step_length = Step length
    .covers = Step length: the length of your steps.
data-local-walking_speed = Walking speed
    .covers = Walking speed: how fast you walk.
data-local-walking_double_support_percentage = Double support
    .covers = Double support: the share of a step with both feet on the ground.
data-local-walking_asymmetry_percentage = Walking asymmetry
    .covers = Walking asymmetry: how often your steps differ between left and right.
data-local-walking_steadiness = Walking steadiness
    .covers = Walking steadiness: how steadily you walk.
data-local-stair_descent_speed = Speed down stairs
    .covers = Speed down stairs: how fast you go down stairs.
data-local-stair_ascent_speed = Speed up stairs
    .covers = Speed up stairs: how fast you go up stairs.
data-local-number_of_times_fallen = Falls
    .covers = Falls: how often your device notices a fall.
data-local-running_power = Running power
    .covers = Running power: how much power you run with.
data-local-running_speed = Running speed
    .covers = Running speed: how fast you run.
data-local-running_vertical_oscillation = Vertical oscillation
    .covers = Vertical oscillation: how far you bounce while you run.
data-local-running_ground_contact_time = Ground contact time
    .covers = Ground contact time: how long your foot is on the ground while you run.
data-local-running_stride_length = Stride length
    .covers = Stride length: the length of your strides while you run.
data-local-running_vertical_ratio = Vertical ratio
    .covers = Vertical ratio: your bouncing in relation to your strides.
data-local-running_stance_time_balance = Stance balance
    .covers = Stance balance: how evenly your feet share the time on the ground.
data-local-cadence = Cadence
    .covers = Cadence: how fast your steps or pedals turn.
data-local-power = Power
    .covers = Power: how much power you put into an exercise.
data-omh-speed = Speed
    .covers = Speed: how fast you move in an exercise.
data-local-underwater_depth = Diving depth
    .covers = Diving depth: how deep you dive.
data-local-latitude = Place (latitude)
    .covers = Place: the place where you are, north or south.
data-local-longitude = Place (longitude)
    .covers = Place: the place where you are, east or west.
data-local-elevation = Elevation
    .covers = Elevation: how high above the sea you are.
data-ieee-ambient-sound = Noise around you
    .covers = Noise around you: how loud it is around you.
data-local-headphone_audio_exposure = Loudness of headphones
    .covers = Loudness of headphones: how loud your headphones are.
data-local-environmental_sound_reduction = Sound reduction
    .covers = Sound reduction: how far your headphones lower the noise.
data-local-time_in_daylight = Time in daylight
    .covers = Time in daylight: how long you are in daylight.
data-local-uv_exposure = UV exposure
    .covers = UV exposure: how strong the sun is on you.
data-local-water_temperature = Water temperature
    .covers = Water temperature: the temperature of the water you are in.
data-ieee-ambient-temperature = Air temperature
    .covers = Air temperature and outdoor temperature: how warm it is around you and where you exercise.
data-local-weather_humidity = Humidity
    .covers = Humidity: the humidity of the air where you exercise.
data-local-insulin_delivery = Insulin
    .covers = Insulin: the insulin that you take or a pump gives you.
data-local-number_of_alcoholic_beverages = Alcoholic drinks
    .covers = Alcoholic drinks: how many alcoholic drinks you note.
data-local-hydration = Drinks
    .covers = Drinks: how much you drink.

## Reminders by e-mail

reminders-tick = Send me reminders by e-mail
reminders-tick-help = Only when nothing arrives from your device. You can stop them at any time.
reminders-stop = Stop the reminders?
reminders-stop-text = We will send no more e-mails when nothing arrives from your device. What you share stays as it is.
reminders-stop-button = Stop the reminders
reminders-stopped = You get no more reminders
reminders-stopped-text = What you share with the study has not changed.
reminders-unknown = We do not know this link
reminders-unknown-text = Use the link of your newest reminder, or ask the person in your study to stop the reminders.
reminders-title = Reminders
reminders-on = You get an e-mail when nothing arrives from your device.
reminders-off = You get no reminders by e-mail.

## E-mails. A study can replace subject and text.

mail-invitation-subject = Your invitation from { $institution }
mail-invitation-body =
    Hello { $name },

    { $institution } invites you to take part in a study. This link shows what it is about. You decide whether you take part:

    { $link }

    The link is for you alone and works until { $until }. Please do not pass it on.

    { $institution }
mail-reminder-subject = A reminder from { $institution }
mail-reminder-body =
    Hello { $name },

    For some days we have received nothing from your device. Please check that it is charged, that you wear it, and that its app was opened and has synced on your phone.

    Thank you,
    { $institution }
mail-reminder-footer =
    You get this e-mail because you agreed to reminders from this study. If you want no more, open this link:
    { $link }
mail-new-link-subject = Your new link
mail-new-link-body =
    Hello,

    You asked for a new link to your pages at { $institution }:

    { $link }

    The link works until { $until }, and an older one no longer works. Did you not ask for it? Then you can ignore this e-mail.

## Charts
range = { $first } to { $last }
day-long = %A %-d %B
weekday-1 = Monday
weekday-2 = Tuesday
weekday-3 = Wednesday
weekday-4 = Thursday
weekday-5 = Friday
weekday-6 = Saturday
weekday-7 = Sunday
weekday-short-1 = Mon
weekday-short-2 = Tue
weekday-short-3 = Wed
weekday-short-4 = Thu
weekday-short-5 = Fri
weekday-short-6 = Sat
weekday-short-7 = Sun
month-short-1 = Jan
month-short-2 = Feb
month-short-3 = Mar
month-short-4 = Apr
month-short-5 = May
month-short-6 = Jun
month-short-7 = Jul
month-short-8 = Aug
month-short-9 = Sep
month-short-10 = Oct
month-short-11 = Nov
month-short-12 = Dec
period-day = Day
period-week = Week
period-2weeks = 2 weeks
period-4weeks = 4 weeks
period-12weeks = 12 weeks
chart-period = Period
chart-earlier = Earlier
chart-later = Later
chart-measurements = Measurements
chart-no-data = no data
chart-empty = No data in this period.
chart-show-newest = Show the newest
chart-without-data = Agreed to, but no data yet: { $names }{ $more ->
        [0] .
       *[other] {" "}and { $more } more.
    }
chart-no-measurements = No data yet. Data arrive once a device is connected and its maker has some.
chart-as-table = As a table
chart-measurement = Measurement
chart-newest = Newest
chart-when = When
chart-samples-of-day = Samples in 24 h
chart-of-day = in 24 h
chart-none = none
chart-day = Day
chart-from = From
chart-until = Until
chart-hours = hours
chart-by-day = { $name } by day
chart-by-hour = { $name } by hour
chart-by-night = { $name } by night
chart-whole-day = Of the whole day: { $values }.
chart-night-counts = A night counts for the day on which it ended.
chart-so-far = , so far
chart-sources = They may count the same activity, so they are not added up.
chart-a-day = a day
chart-daily = One value a day.
chart-daily-mean = A dash is the mean of its day.
chart-dots = Dots: mean of { $step }.
chart-dots-pressure = Dots: mean of { $step }, systolic above and diastolic below.
chart-line = Line: mean of { $step }. Band: lowest to highest.
chart-line-pressure = Lines: mean of { $step }, systolic, and broken diastolic. Bands: lowest to highest.
chart-samples = { $count ->
        [one] { $count } sample
       *[other] { $count } samples
    }
chart-pressure = systolic { $systolic }, diastolic { $diastolic }
chart-mean = mean { $value }
chart-sample-column = Samples
chart-mean-column = Mean
chart-lowest = Lowest
chart-highest = Highest
chart-in-unit = in { $unit }
chart-in-unit-pressure = systolic/diastolic in { $unit }
chart-mean-of-nights = { $count ->
        [one] mean of 1 night
       *[other] mean of { $count } nights
    }
chart-stack = From the bottom, with the { $mean }:
chart-night-to = Night to { $day }
chart-night-column = Night to
chart-night-before = Night before
chart-intervals = { $count } intervals, of which awake { $wakes }
chart-blocks = Each block is one interval.
chart-time = time, { $zone }
chart-stage = Stage
stage-deep = Deep
stage-rem = REM
stage-light = Light
stage-awake = Awake
stage-in-bed = In bed
stage-asleep = Asleep
stage-other = Other
unit-steps = steps
unit-count = count
unit-score = score
unit-years = years
unit-bpm = bpm
unit-beats-min = beats/min
unit-breaths-min = breaths/min
unit-IU = IU
series-resting_heart_rate = Resting heart rate
series-daily_activity = Energy of the day’s activity
series-workout = Workouts
series-weather_temperature = Outdoor temperature
